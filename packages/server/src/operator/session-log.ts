import { isRaworcError, type SessionEvent } from "@raworc/contract";
import { appendEvents, listEvents, type NewEvent } from "../store/events.ts";
import type { Store, Transaction } from "../store/store.ts";
import type { Wakeups } from "./wakeups.ts";

/** Appends to a session's event log within the transaction at hand. */
export type Append = (sessionId: string, events: readonly NewEvent[]) => Promise<readonly SessionEvent[]>;

const PAGE = 500;
/** A listener that falls further behind reads from the store again, so a slow stream holds no memory. */
const QUEUE_MAX = 1000;

/** The event logs of all sessions: written with what they tell of in one transaction, followed live. */
export class SessionLog {
  readonly #store: Store;
  readonly #wakeups: Wakeups;

  constructor(store: Store, wakeups: Wakeups) {
    this.#store = store;
    this.#wakeups = wakeups;
  }

  /** One transaction of records and events. Listeners hear of the events after the commit, in the order of commits. */
  async write<T>(work: (transaction: Transaction, append: Append) => Promise<T>): Promise<T> {
    const written: { sessionId: string; events: readonly SessionEvent[] }[] = [];
    try {
      const result = await this.#store.write((transaction) => {
        // What an attempt before this one has appended was rolled back with it.
        written.length = 0;
        return work(transaction, async (sessionId, events) => {
          const appended = await appendEvents(transaction, sessionId, events);
          written.push({ sessionId, events: appended });
          return appended;
        });
      });
      for (const { sessionId, events } of written) this.#wakeups.emit("events", sessionId, events);
      return result;
    } catch (error) {
      // The database may have committed and then been lost: those who wait look for themselves.
      const unsure = isRaworcError(error, "not_ready");
      if (unsure) for (const { sessionId } of written) this.#wakeups.emit("events", sessionId, undefined);
      throw error;
    }
  }

  /** All events after `after`, then each new one as it is committed: gap-free, once each. Ends only with the signal. */
  async *follow(sessionId: string, after: number, signal: AbortSignal): AsyncGenerator<SessionEvent> {
    let last = after;
    let queue: SessionEvent[] = [];
    let behind = true;
    let wake: (() => void) | undefined;
    const stop = this.#wakeups.on("events", sessionId, (events) => {
      if (events === undefined || queue.length + events.length > QUEUE_MAX) {
        queue = [];
        behind = true;
      } else if (!behind) queue.push(...events);
      wake?.();
    });
    const onAbort = () => wake?.();
    signal.addEventListener("abort", onAbort);
    try {
      while (!signal.aborted) {
        if (behind) {
          // From here on the queue collects; what is read below may be in it too and is left out by its number.
          behind = false;
          queue = [];
          for (
            let page = await this.#page(sessionId, last);
            page.length > 0;
            page = await this.#page(sessionId, last)
          ) {
            for (const event of page) {
              if (signal.aborted) return;
              last = event.id;
              yield event;
            }
          }
        }
        const events = queue;
        queue = [];
        for (const event of events) {
          if (signal.aborted) return;
          if (event.id <= last) continue;
          if (event.id !== last + 1) {
            behind = true;
            break;
          }
          last = event.id;
          yield event;
        }
        if (queue.length > 0 || behind) continue;
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (signal.aborted || queue.length > 0 || behind) resolve();
        });
        wake = undefined;
      }
    } finally {
      stop();
      signal.removeEventListener("abort", onAbort);
    }
  }

  #page(sessionId: string, after: number): Promise<SessionEvent[]> {
    return listEvents(this.#store.read, sessionId, after, PAGE);
  }
}
