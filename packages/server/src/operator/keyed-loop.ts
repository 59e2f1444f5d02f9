import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { outsideOfCalls } from "../audit/audit-note.ts";

/** `done` until the next wake-up, or once more after so many milliseconds. */
export type Outcome = "done" | { readonly againAfterMs: number };

export interface KeyedLoopOptions {
  readonly name: string;
  readonly log: Logger;
  /** Keys handled at the same time. */
  readonly concurrency: number;
  /** One turn for a key: reads what is, acts, records. May be repeated at any time. */
  readonly turn: (key: string, signal: AbortSignal) => Promise<Outcome>;
}

const BACKOFF_FIRST_MS = 200;
const BACKOFF_MAX_MS = 30_000;

/**
 * Level-triggered work by key: one turn at a time for a key, several keys at once. A wake-up during a turn makes another
 * turn follow. A turn that throws is repeated with backoff; its error is logged and never ends the loop.
 */
export class KeyedLoop {
  readonly #options: KeyedLoopOptions;
  readonly #closing = new AbortController();
  /** Keys to be handled, in order. */
  readonly #waiting = new Set<string>();
  /** Keys in a turn, with their turn's abort controller. */
  readonly #running = new Map<string, { readonly turn: Promise<void>; readonly abort: AbortController }>();
  /** Keys that wait out a pause, and how to end it early. */
  readonly #pauses = new Map<string, AbortController>();
  readonly #failures = new Map<string, number>();
  /** Keys that are kept from turns, with the end of the last piece of work that keeps them. */
  readonly #held = new Map<string, Promise<unknown>>();

  constructor(options: KeyedLoopOptions) {
    this.#options = options;
  }

  wake(key: string): void {
    if (this.#closing.signal.aborted) return;
    this.#pauses.get(key)?.abort();
    this.#waiting.add(key);
    this.#next();
  }

  /** Aborts the turn of a key, if one runs, and wakes it again. */
  interrupt(key: string): void {
    this.#running.get(key)?.abort.abort();
    this.wake(key);
  }

  /**
   * Does something to a key's subject that no turn may come between: waits for the turn that runs and for what was held
   * before, keeps others off, and wakes the key afterwards. A turn must not hold its own key.
   */
  async exclusive<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#held.get(key);
    const held = (async () => {
      await before?.catch(() => undefined);
      await this.#running.get(key)?.turn;
      return work();
    })();
    this.#held.set(key, held);
    try {
      return await held;
    } finally {
      if (this.#held.get(key) === held) this.#held.delete(key);
      this.wake(key);
    }
  }

  /** Takes no more work, aborts what runs, and waits for it. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#waiting.clear();
    for (const pause of this.#pauses.values()) pause.abort();
    await Promise.all([...this.#running.values()].map(({ turn }) => turn));
  }

  #next(): void {
    for (const key of this.#waiting) {
      if (this.#running.size >= this.#options.concurrency) return;
      if (this.#running.has(key) || this.#held.has(key)) continue;
      this.#waiting.delete(key);
      const abort = new AbortController();
      const turn = this.#turn(key, AbortSignal.any([abort.signal, this.#closing.signal])).finally(() => {
        this.#running.delete(key);
        this.#next();
      });
      this.#running.set(key, { turn, abort });
    }
  }

  async #turn(key: string, signal: AbortSignal): Promise<void> {
    const { log, name, turn } = this.#options;
    try {
      // The turn may have been woken from a call, but what it writes is no part of it.
      const outcome = await outsideOfCalls(() => turn(key, signal));
      this.#failures.delete(key);
      if (outcome !== "done") this.#pause(key, outcome.againAfterMs);
    } catch (error) {
      if (signal.aborted) return;
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      const pause = Math.min(BACKOFF_FIRST_MS * 2 ** (failures - 1), BACKOFF_MAX_MS);
      log.warn({ err: error, key, failures, pause_ms: pause }, `${name}: turn failed, repeated later`);
      this.#pause(key, pause);
    }
  }

  #pause(key: string, milliseconds: number): void {
    if (this.#closing.signal.aborted) return;
    const pause = new AbortController();
    this.#pauses.set(key, pause);
    const ended = () => {
      if (this.#pauses.get(key) === pause) this.#pauses.delete(key);
    };
    sleep(milliseconds, undefined, { signal: pause.signal }).then(
      () => {
        ended();
        this.wake(key);
      },
      // Ended early by a wake-up, which is handled by whoever ended it.
      ended,
    );
  }
}
