import { dialectOf } from "./dialect.ts";
import { selectRows } from "./statement.ts";
import type { Store } from "./store.ts";

/**
 * Tells whether anything has changed in the database since it was last asked. SQLite is asked once in each turn of the
 * event loop, and anew after each commit of this server: what a request was told is never missed by a later one.
 */
export class DatabaseVersion {
  /** The same store; its commits are noticed here. */
  readonly store: Store;
  readonly #isKnown: boolean;
  #isLooked = false;
  #seen: number | undefined;
  #version = 0;

  constructor(store: Store) {
    this.#isKnown = dialectOf(store.read) === "sqlite";
    const outdate = (): void => {
      this.#isLooked = false;
    };
    this.store = {
      ...store,
      write: (work) => {
        const written = store.write(work);
        // Before whoever waits for the commit hears of it.
        written.then(outdate, outdate);
        return written;
      },
    };
  }

  /**
   * Another number after each commit, whether of this server or another one. Undefined where the database would have to be
   * waited for.
   */
  current(): number | undefined {
    if (!this.#isLooked && this.#isKnown) this.#look();
    return this.#isKnown ? this.#version : undefined;
  }

  #look(): void {
    const rows = selectRows<{ data_version: number }>(this.store.read, "pragma data_version", []);
    if (rows instanceof Promise) throw new Error("SQLite is in this process");
    const seen = rows[0]?.data_version;
    if (seen !== this.#seen) this.#version += 1;
    this.#seen = seen;
    this.#isLooked = true;
    setImmediate(() => {
      this.#isLooked = false;
    });
  }
}
