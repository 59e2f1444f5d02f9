import type { SessionEvent } from "@raworc/contract";

/** What can be waited for, and what comes with the call. A wake-up carries no truth but committed events. */
export interface WakeupTopics {
  /** By session id: events that are committed. */
  readonly events: readonly SessionEvent[];
  /** By build id: its record or its log has changed. */
  readonly build: undefined;
}

type Listener<T> = (payload: T) => void;

/** Calls who waits for a change, in the same tick, in this process. */
export class Wakeups {
  readonly #listeners = new Map<string, Set<Listener<never>>>();

  /** Gives back how to stop listening. */
  on<T extends keyof WakeupTopics>(topic: T, key: string, listener: Listener<WakeupTopics[T]>): () => void {
    const name = `${topic} ${key}`;
    const listeners = this.#listeners.get(name) ?? new Set();
    listeners.add(listener);
    this.#listeners.set(name, listeners);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(name) === listeners) this.#listeners.delete(name);
    };
  }

  emit<T extends keyof WakeupTopics>(topic: T, key: string, payload: WakeupTopics[T]): void {
    const listeners = this.#listeners.get(`${topic} ${key}`);
    if (listeners === undefined) return;
    for (const listener of [...listeners]) (listener as Listener<WakeupTopics[T]>)(payload);
  }
}
