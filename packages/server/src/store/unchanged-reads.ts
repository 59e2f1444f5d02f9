import type { DatabaseVersion } from "./database-version.ts";

/** Of all that is kept together, in the measure of `size`. */
const SIZE_MAX = 16 * 1024 * 1024;

/** What was made of records, kept for as long as nothing at all changes in the database. */
export class UnchangedReads<T> {
  readonly #version: Pick<DatabaseVersion, "current">;
  readonly #sizeOf: (made: T) => number;
  readonly #kept = new Map<string, T>();
  #keptAt: number | undefined;
  #size = 0;

  /** `sizeOf` gives about how many bytes are kept with something. */
  constructor(version: Pick<DatabaseVersion, "current">, sizeOf: (made: T) => number) {
    this.#version = version;
    this.#sizeOf = sizeOf;
  }

  /** Undefined is read anew each time, as is all where the version of the database is not known. */
  get(key: string, read: () => T | undefined | Promise<T | undefined>): T | undefined | Promise<T | undefined> {
    const version = this.#version.current();
    if (version !== this.#keptAt) this.#forget();
    this.#keptAt = version;
    const kept = version === undefined ? undefined : this.#kept.get(key);
    if (kept !== undefined) return kept;
    const made = read();
    if (made instanceof Promise || made === undefined || version === undefined) return made;
    const size = this.#sizeOf(made);
    if (this.#size + size > SIZE_MAX) this.#forget();
    if (size > SIZE_MAX) return made;
    this.#size += size;
    this.#kept.set(key, made);
    return made;
  }

  #forget(): void {
    this.#kept.clear();
    this.#size = 0;
  }
}
