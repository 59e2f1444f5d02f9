import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { RaworcError } from "@raworc/contract";
import type { Kysely } from "kysely";
import type { Database } from "./rows.ts";
import { runStatement } from "./statement.ts";

export type Transaction = Kysely<Database>;
type Work<T> = (transaction: Transaction) => Promise<T>;

interface Entry {
  readonly run: (transaction: Transaction) => Promise<() => void>;
  readonly fail: (error: unknown) => void;
}

const GROUP_MAX = 128;
const BUSY_PAUSE_MS = 10;
const BUSY_LIMIT_MS = 10_000;
/** SQLITE_BUSY: another process writes. */
const BUSY = 5;

/**
 * Runs write transactions on the one writing connection of SQLite, in order. What waits at the same time shares one
 * commit, and with it one sync of the disk: each piece of work is a savepoint of its own, so one that throws takes
 * nothing with it. A promise settles only after the commit.
 */
export class WriteQueue {
  readonly #connection: Kysely<Database>;
  readonly #busyLimitMs: number;
  #entries: Entry[] = [];
  #running: Promise<void> | undefined;

  /** While another process keeps the database for longer than the limit, writes are refused with `not_ready`. */
  constructor(connection: Kysely<Database>, busyLimitMs = BUSY_LIMIT_MS) {
    this.#connection = connection;
    this.#busyLimitMs = busyLimitMs;
  }

  write<T>(work: Work<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#entries.push({
        run: async (transaction) => {
          const result = await work(transaction);
          return () => resolve(result);
        },
        fail: reject,
      });
      this.#running ??= this.#drain();
    });
  }

  /** Resolves when all that was asked for before is written. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #drain(): Promise<void> {
    try {
      // All calls that have come in by now get as far as their writes first, and share a commit.
      for (; this.#entries.length > 0; await this.#group()) await nextTurn();
    } finally {
      this.#running = undefined;
    }
  }

  async #group(): Promise<void> {
    const done: (() => void)[] = [];
    const taken: Entry[] = [];
    try {
      await this.#begin();
      for (let entry = this.#entries.shift(); entry !== undefined; entry = this.#entries.shift()) {
        taken.push(entry);
        const settle = await this.#one(entry);
        if (settle !== undefined) done.push(settle);
        if (taken.length >= GROUP_MAX) break;
      }
      await runStatement(this.#connection, "commit");
    } catch (error) {
      await runStatement(this.#connection, "rollback").catch(() => undefined);
      // Nothing of the group is written. Also when the begin failed: then whoever waited must hear of it.
      const waiting = taken.length > 0 ? taken : this.#entries.splice(0);
      for (const entry of waiting) entry.fail(error);
      return;
    }
    for (const settle of done) settle();
  }

  /** SQLite itself waits only shortly, since nothing else of this process goes on meanwhile. */
  async #begin(): Promise<void> {
    for (const limit = performance.now() + this.#busyLimitMs; ; await sleep(BUSY_PAUSE_MS)) {
      try {
        await runStatement(this.#connection, "begin immediate");
        return;
      } catch (error) {
        if ((error as { errcode?: unknown }).errcode !== BUSY) throw error;
        if (performance.now() < limit) continue;
        const detail = "Another server keeps the database busy; try again shortly.";
        throw new RaworcError("not_ready", detail, { cause: error, retryAfterSeconds: 1 });
      }
    }
  }

  async #one(entry: Entry): Promise<(() => void) | undefined> {
    await runStatement(this.#connection, "savepoint work");
    try {
      const settle = await entry.run(this.#connection);
      await runStatement(this.#connection, "release work");
      return settle;
    } catch (error) {
      await runStatement(this.#connection, "rollback to work");
      await runStatement(this.#connection, "release work");
      entry.fail(error);
      return undefined;
    }
  }
}
