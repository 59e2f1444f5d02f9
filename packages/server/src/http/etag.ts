import { hash } from "node:crypto";
import { RaworcError } from "@raworc/contract";

/** A validator of an object: changes when what it is made from does. */
export function etagOf(basis: unknown): string {
  return etagOfText(JSON.stringify(basis));
}

export function etagOfText(text: string): string {
  return `"${hash("sha256", text, "base64url").slice(0, 27)}"`;
}

const TAG = /(W\/)?"[\x21\x23-\x7e]*"/g;

/**
 * Throws `precondition_failed` unless the object is still what the caller has seen. To be asked in the transaction that
 * changes the object, with the object as it is there.
 */
export function checkIfMatch(header: string | undefined, basis: unknown): void {
  if (header === undefined || header.trim() === "*") return;
  // Weak tags never match here: they say nothing about the whole object.
  const tags: readonly string[] = header.match(TAG) ?? [];
  if (tags.includes(etagOf(basis))) return;
  throw new RaworcError(
    "precondition_failed",
    "The object is no longer the one that If-Match names. Get it again, and change what it is now.",
  );
}
