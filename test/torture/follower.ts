import type { SessionEvent } from "@raworc/contract";
import type { Client } from "../support/test-server.ts";
import type { History } from "./history.ts";
import type { Random } from "./random.ts";

/** What is kept of an event, to compare what different readers were told. */
export const digest = ({ id, type, data }: SessionEvent): string =>
  `${id} ${type} ${String(data["message_id"] ?? "")} ${String(data["state"] ?? data["status"] ?? "")}`;

/**
 * Reads a session's stream from the start for the whole time, over all the servers that come and go. A restless one leaves
 * now and then and goes on after the last event that it has seen.
 */
export class Follower {
  readonly seen: string[] = [];
  readonly #client: Client;
  readonly #session: string;
  readonly #history: History;
  readonly #restless: Random | undefined;
  readonly #leaving = new AbortController();
  readonly #done: Promise<void>;

  constructor(client: Client, session: string, history: History, restless?: Random) {
    this.#client = client;
    this.#session = session;
    this.#history = history;
    this.#restless = restless;
    this.#done = this.#follow();
  }

  async close(): Promise<void> {
    this.#leaving.abort();
    await this.#done;
  }

  async #follow(): Promise<void> {
    const { signal } = this.#leaving;
    while (!signal.aborted) {
      const visit = new AbortController();
      const minutes = this.#restless;
      const timer = minutes && setTimeout(() => visit.abort(), minutes.between(100, 3000));
      try {
        const options = {
          after: this.seen.length,
          deleted: true,
          signal: AbortSignal.any([signal, visit.signal]),
        };
        for await (const event of this.#client.events(this.#session, options)) {
          if (event.id !== this.seen.length + 1) {
            this.#history.violation(`stream of ${this.#session}: event ${event.id} came after ${this.seen.length}`);
          }
          this.seen.push(digest(event));
        }
      } catch (error) {
        if (signal.aborted) return;
        this.#history.violation(`stream of ${this.#session} ended: ${error}`);
        return;
      } finally {
        clearTimeout(timer);
      }
    }
  }
}
