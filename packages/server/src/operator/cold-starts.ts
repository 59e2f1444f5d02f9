/** For how long others let starts go before them that follow each other without a pause. */
const PATIENCE_MS = 10_000;

/** Starts of computers that a session waits for. What is made for later lets them go first. */
export class ColdStarts {
  #count = 0;
  /** When the first began after there was none. */
  #since = 0;
  readonly #ends = new Set<() => void>();

  async around<T>(start: () => Promise<T>): Promise<T> {
    if (this.#count === 0) this.#since = performance.now();
    this.#count += 1;
    try {
      return await start();
    } finally {
      this.#count -= 1;
      if (this.#count === 0) this.#end();
    }
  }

  /** How long to wait yet at most; 0 while there is none to wait for. */
  patienceMs(): number {
    return this.#count === 0 ? 0 : Math.max(0, this.#since + PATIENCE_MS - performance.now());
  }

  /** Calls back once, when none is under way any more. */
  onEnd(end: () => void): void {
    this.#ends.add(end);
  }

  #end(): void {
    const ends = [...this.#ends];
    this.#ends.clear();
    for (const end of ends) end();
  }
}
