import type { Client } from "../support/test-server.ts";
import { Follower } from "./follower.ts";
import type { History } from "./history.ts";
import type { Random } from "./random.ts";

/** A message that the server has accepted, as far as the one who sent it knows. */
export interface SentMessage {
  readonly id: string;
  readonly content: string;
}

/** A session as those who use it know it. */
export interface KnownSession {
  readonly id: string;
  readonly accepted: SentMessage[];
  /** Contents of messages whose answer was lost: each is there once or not at all. */
  readonly unsure: string[];
  /** Markers of commands that were answered. */
  readonly commands: string[];
  readonly followers: readonly Follower[];
  /** When somebody wished a running message to end. */
  readonly cancels: number[];
  readonly pauses: number[];
  /** A deletion was sent; whether it arrived, only the server knows. */
  deleted: boolean;
}

/** All sessions that the harness knows of. */
export class Ledger {
  readonly sessions = new Map<string, KnownSession>();
  readonly #client: Client;
  readonly #history: History;
  readonly #random: Random;

  constructor(client: Client, history: History, random: Random) {
    this.#client = client;
    this.#history = history;
    this.#random = random;
  }

  know(id: string): KnownSession {
    const known = this.sessions.get(id);
    if (known !== undefined) return known;
    const followers = [
      new Follower(this.#client, id, this.#history),
      new Follower(this.#client, id, this.#history, this.#random.fork()),
    ];
    const session: KnownSession = {
      id,
      accepted: [],
      unsure: [],
      commands: [],
      followers,
      cancels: [],
      pauses: [],
      deleted: false,
    };
    this.sessions.set(id, session);
    return session;
  }

  live(): KnownSession[] {
    return [...this.sessions.values()].filter(({ deleted }) => !deleted);
  }

  async close(): Promise<void> {
    await Promise.all([...this.sessions.values()].flatMap(({ followers }) => followers.map((each) => each.close())));
  }
}
