import { normalize } from "node:path/posix";
import { COMPUTER, FILE_PATH_MAX_BYTES, RaworcError } from "@raworc/contract";

export interface FilePath {
  /** Absolute inside the computer, without empty parts and parts of dots. */
  readonly path: string;
  /** Whether it is below `/session` by its words; where links lead is for the computer to see. */
  readonly inSession: boolean;
}

/** A path as callers write it: relative to `/session`, or absolute. Throws `validation_failed`. */
export function resolveFilePath(text: string, field: string): FilePath {
  if (text.includes("\0")) throw invalidPath(field, "holds a NUL, which no name can");
  if (Buffer.byteLength(text) > FILE_PATH_MAX_BYTES) throw invalidPath(field, "is longer than a path can be");
  const absolute = normalize(text.startsWith("/") ? text : `${COMPUTER.session}/${text}`).replace(/^\/+/, "/");
  const path = absolute.length > 1 && absolute.endsWith("/") ? absolute.slice(0, -1) : absolute;
  return { path, inSession: path === COMPUTER.session || path.startsWith(`${COMPUTER.session}/`) };
}

function invalidPath(field: string, message: string): RaworcError {
  return new RaworcError("validation_failed", `${field} ${message}.`, { errors: [{ path: field, message }] });
}
