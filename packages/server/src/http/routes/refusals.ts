import { type FieldError, RaworcError } from "@raworc/contract";

/** A field that the schema can't judge. */
export function invalid(path: string, message: string): RaworcError {
  return invalidFields([{ path, message }]);
}

export function invalidFields(errors: readonly FieldError[]): RaworcError {
  const detail = errors.map(({ path, message }) => `${path}: ${message}`).join("; ");
  return new RaworcError("validation_failed", detail, { errors });
}

/** A body may name the object itself; what has no other name can't be given one. */
export function requireSameName(path: string, given: string | undefined, name: string): void {
  if (given !== undefined && given !== name) throw invalid(path, `can't be changed; it is ${name}`);
}

/** The same for what isn't there and what is hidden from the caller. */
export function notThere(path: string, kind: string, name: string): FieldError {
  return { path, message: `There is no ${kind} ${name}, or it is not visible to you` };
}
