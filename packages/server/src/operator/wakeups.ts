import type { SessionEvent } from "@raworc/contract";

/** What can be waited for, and what comes with the call. A wake-up carries no truth but committed events. */
export interface WakeupTopics {
  /** By session id: events that are committed; none are given when another server has written them. */
  readonly events: readonly SessionEvent[] | undefined;
  /** By build id: its record or its log has changed. */
  readonly build: undefined;
  /** By session id: its record has changed, and whoever drives it looks again. */
  readonly session: undefined;
  /** By session id: its messages have changed. */
  readonly messages: undefined;
  /** By session id: it was deleted, which ends what is done for it. */
  readonly deletion: undefined;
  /** By session id: its running message is to be cancelled. */
  readonly cancel: undefined;
  /** By session id: it is busy, and to be paused. */
  readonly pause: undefined;
  /** By space id: its builds have changed, and whoever runs them looks again. */
  readonly builds: undefined;
  /** By space id: its running build is to be cancelled. */
  readonly "build-cancel": undefined;
  /** By space id: what its pool is to hold has changed. */
  readonly pool: undefined;
  /** By space id: its settings have changed. */
  readonly space: undefined;
  /** By id of the session or space that errands are about: there are others. */
  readonly errands: undefined;
  /** By errand id: it was done. */
  readonly errand: undefined;
  /** Without a key: accounts, roles, bindings or tokens have changed. */
  readonly access: undefined;
  /** By space id: its secrets have changed, and whoever drives its sessions hands them over anew. */
  readonly secrets: undefined;
}

export type WakeupTopic = keyof WakeupTopics;

type Listener<T> = (payload: T) => void;

/**
 * Calls who waits for a change, in the same tick, in this process. Where several servers share the store, a relay carries
 * each call to the others too, without its payload.
 */
export class Wakeups {
  readonly #listeners = new Map<string, Set<Listener<never>>>();
  readonly #watchers = new Map<WakeupTopic, Set<(key: string) => void>>();
  readonly #missListeners = new Set<() => void>();
  #relay: ((topic: WakeupTopic, key: string) => void) | undefined;

  /** Gives back how to stop listening. */
  on<T extends WakeupTopic>(topic: T, key: string, listener: Listener<WakeupTopics[T]>): () => void {
    const name = `${topic} ${key}`;
    const listeners = this.#listeners.get(name) ?? new Set();
    listeners.add(listener);
    this.#listeners.set(name, listeners);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(name) === listeners) this.#listeners.delete(name);
    };
  }

  /** Hears of every key of a topic. Gives back how to stop listening. */
  watch(topic: WakeupTopic, watcher: (key: string) => void): () => void {
    const watchers = this.#watchers.get(topic) ?? new Set();
    watchers.add(watcher);
    this.#watchers.set(topic, watchers);
    return () => watchers.delete(watcher);
  }

  emit<T extends WakeupTopic>(topic: T, key: string, payload: WakeupTopics[T]): void {
    this.#call(topic, key, payload);
    this.#relay?.(topic, key);
  }

  /** A call of another server. */
  receive(topic: WakeupTopic, key: string): void {
    this.#call(topic, key, undefined);
  }

  /** Hears that calls of other servers may have been missed, so that their keys are looked for. */
  onMiss(listener: () => void): void {
    this.#missListeners.add(listener);
  }

  /** Calls of other servers may have been missed: whoever waits looks again. */
  miss(): void {
    for (const listeners of [...this.#listeners.values()]) {
      for (const listener of [...listeners]) (listener as Listener<undefined>)(undefined);
    }
    for (const listener of this.#missListeners) listener();
  }

  relayTo(relay: (topic: WakeupTopic, key: string) => void): void {
    this.#relay = relay;
  }

  #call(topic: WakeupTopic, key: string, payload: unknown): void {
    const listeners = this.#listeners.get(`${topic} ${key}`);
    if (listeners !== undefined) {
      for (const listener of [...listeners]) (listener as Listener<unknown>)(payload);
    }
    const watchers = this.#watchers.get(topic);
    if (watchers !== undefined) for (const watcher of [...watchers]) watcher(key);
  }
}
