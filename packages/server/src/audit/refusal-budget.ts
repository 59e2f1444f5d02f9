export interface RefusalBudgetOptions {
  /** Milliseconds. */
  readonly now?: () => number;
}

const WINDOW_MS = 60_000;
/** Refusals of one source, and of all together, that are told of each minute. */
const EACH_MAX = 30;
const ALL_MAX = 600;
const SOURCES_MAX = 10_000;

interface Window {
  readonly since: number;
  told: number;
  leftOut: number;
}

/**
 * Bounds the events that callers without a good token can cause: they cost nothing to make and would fill the disk. What
 * was left out is counted, and told with the next that isn't.
 */
export class RefusalBudget {
  readonly #now: () => number;
  readonly #sources = new Map<string, Window>();
  #all: Window = { since: 0, told: 0, leftOut: 0 };

  constructor(options: RefusalBudgetOptions = {}) {
    this.#now = options.now ?? Date.now;
  }

  /** How many were left out of this source since the last one told, or undefined when this one is left out too. */
  take(source: string): number | undefined {
    const now = this.#now();
    const window = this.#windowOf(source, now);
    if (now - this.#all.since >= WINDOW_MS) this.#all = { since: now, told: 0, leftOut: 0 };
    if (window.told >= EACH_MAX || this.#all.told >= ALL_MAX) {
      window.leftOut += 1;
      return undefined;
    }
    window.told += 1;
    this.#all.told += 1;
    const { leftOut } = window;
    window.leftOut = 0;
    return leftOut;
  }

  #windowOf(source: string, now: number): Window {
    const known = this.#sources.get(source);
    if (known !== undefined && now - known.since < WINDOW_MS) return known;
    const window = { since: now, told: 0, leftOut: known?.leftOut ?? 0 };
    this.#sources.delete(source);
    this.#sources.set(source, window);
    if (this.#sources.size > SOURCES_MAX) {
      const [oldest] = this.#sources.keys();
      if (oldest !== undefined) this.#sources.delete(oldest);
    }
    return window;
  }
}
