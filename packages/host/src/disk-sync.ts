import { fdatasync, fdatasyncSync } from "node:fs";
import { promisify } from "node:util";

const syncElsewhere = promisify(fdatasync);
/** A disk that takes longer may not hold up all that the host does. */
const SLOW_MS = 5;
/** So many times after that another thread waits for it. */
const SLOW_TIMES = 100;

/**
 * Puts on disk what was written to a file. A fast disk is waited for where the host stands: handing over to another thread
 * takes as long as the disk does.
 */
export class DiskSync {
  readonly #slowMs: number;
  #elsewhere = 0;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(slowMs = SLOW_MS) {
    this.#slowMs = slowMs;
  }

  /** What was written before the call is on disk when it returns, or when what it gives resolves. */
  sync(descriptor: () => number): Promise<void> | undefined {
    if (this.#elsewhere > 0 || this.#running !== undefined) return this.#sync(descriptor);
    const begin = performance.now();
    fdatasyncSync(descriptor());
    if (performance.now() - begin > this.#slowMs) this.#elsewhere = SLOW_TIMES;
    return undefined;
  }

  /** Resolves when no other thread works on the file any more. */
  async idle(): Promise<void> {
    await this.#running?.catch(() => undefined);
  }

  /** Calls that wait together share one sync. */
  #sync(descriptor: () => number): Promise<void> {
    if (this.#running === undefined) {
      this.#elsewhere -= 1;
      const running = syncElsewhere(descriptor()).finally(() => {
        this.#running = undefined;
      });
      this.#running = running;
      return running;
    }
    this.#next ??= this.idle().then(() => {
      this.#next = undefined;
      return this.#sync(descriptor);
    });
    return this.#next;
  }
}
