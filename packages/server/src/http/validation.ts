import type { FieldError } from "@raworc/contract";
import type { ZodError, z } from "zod";

type Issue = z.core.$ZodIssue;

/** Errors told about one request, and characters of each text: a request may have millions of faults. */
const ERRORS_MAX = 50;
const TEXT_MAX = 200;

const cut = (text: string): string => (text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text);

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

function messageOf(issue: Issue, input: unknown): string {
  const isMissing = issue.code === "invalid_type" && valueAt(input, issue.path) === undefined;
  if (isMissing && input !== undefined) return "is required";
  if (issue.code !== "invalid_union") return issue.message;
  const branches = issue.errors.flatMap((branch) => branch.slice(0, 1).map((nested) => nested.message));
  return branches.length === 0 ? issue.message : branches.join(", or ");
}

/** Zod's issues as field errors with dotted paths; a field that isn't known is named itself. */
export function fieldErrorsOf(error: ZodError, input: unknown, origin: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const issue of error.issues) {
    const keys = issue.code === "unrecognized_keys" ? issue.keys : [undefined];
    for (const key of keys) {
      if (errors.length >= ERRORS_MAX) return errors;
      const path = [origin, ...issue.path, ...(key === undefined ? [] : [key])].filter((part) => part !== "");
      const message = key === undefined ? messageOf(issue, input) : "is not a known field";
      errors.push({ path: cut(path.map(String).join(".")), message: cut(message) });
    }
  }
  return errors;
}
