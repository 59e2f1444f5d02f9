/** Calls everybody who listens at one interval, with one timer for all; there is no timer while nobody listens. */
export class Heartbeat {
  readonly #intervalMs: number;
  readonly #listeners = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** Gives back how to stop listening. */
  listen(onBeat: () => void): () => void {
    this.#listeners.add(onBeat);
    this.#timer ??= setInterval(() => this.beat(), this.#intervalMs).unref();
    return () => {
      this.#listeners.delete(onBeat);
      if (this.#listeners.size === 0) this.close();
    };
  }

  beat(): void {
    for (const listener of this.#listeners) listener();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
