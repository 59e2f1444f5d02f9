import { errorCode } from "./disk-full.ts";
import { RequestError } from "./requests.ts";

type Refusal = readonly [status: number, code: string, text: (path: string) => string];

const closed: Refusal = [403, "forbidden", (path) => `${path} is closed to the session's user.`];
const tooLong: Refusal = [422, "validation_failed", () => "The path, or a name in it, is longer than a path can be."];
const full: Refusal = [507, "disk_full", () => "The session's disk is full: delete files, or raise disk_mb."];
const busy: Refusal = [409, "conflict", (path) => `${path} is in use by the system.`];
const notEmpty: Refusal = [409, "conflict", (path) => `There is a folder with files at ${path} already.`];
const missing: Refusal = [404, "not_found", (path) => `There is no ${path} in the session.`];

const REFUSALS: Readonly<Record<string, Refusal>> = {
  ENOENT: missing,
  ENOTDIR: [404, "not_found", (path) => `There is no ${path} in the session: a part of the path is no folder.`],
  EACCES: closed,
  EPERM: closed,
  EROFS: [403, "forbidden", (path) => `${path} can't be changed: it is read-only.`],
  ELOOP: [422, "not_a_file", (path) => `${path} is a link that leads nowhere.`],
  ENAMETOOLONG: tooLong,
  ENOSPC: full,
  EDQUOT: full,
  EFBIG: full,
  EISDIR: [422, "not_a_file", (path) => `${path} is a folder.`],
  EINVAL: [422, "validation_failed", () => "A folder can't be moved into itself."],
  EXDEV: [422, "validation_failed", () => "It can't be moved to another file system; copy it."],
  ENOTEMPTY: notEmpty,
  EEXIST: notEmpty,
  EBUSY: busy,
  EMFILE: [503, "not_ready", () => "Too many files are open; try again."],
  ENFILE: [503, "not_ready", () => "Too many files are open; try again."],
};

/** What the kernel's answer means to the caller. Anything that is not expected stays as it is. */
export function fileFault(error: unknown, path: string): unknown {
  const refusal = REFUSALS[errorCode(error) ?? ""];
  if (refusal === undefined) return error;
  const [status, code, text] = refusal;
  return new RequestError(status, code, text(path));
}

/** Runs work on a path, and tells its failures to the caller. */
export function explained<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw fileFault(error, path);
  }
}
