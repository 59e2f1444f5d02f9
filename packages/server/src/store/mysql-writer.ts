import { setTimeout as sleep } from "node:timers/promises";
import { isRaworcError } from "@raworc/contract";
import type { Kysely } from "kysely";
import { failureOf, tooBusy } from "./mysql-failures.ts";
import type { Database } from "./rows.ts";
import type { Transaction } from "./write-queue.ts";

type Work<T> = (transaction: Transaction) => Promise<T>;

const CONFLICTS_MAX = 30;
/** A wait for a lock that took its whole time weighs as much as so many conflicts. */
const LOCK_WAIT_WEIGHT = 10;
const LOCK_WAIT_TIMEOUT = 1205;
/** A check that is still crossed after so many looks isn't: the work itself breaks a rule of the schema. */
const CROSSINGS_MAX = 3;
const PAUSE_MAX_MS = 50;

/**
 * Runs write transactions on a pool, several at once; the server lets those that commit at the same time share one sync
 * of the disk. A transaction that another one was in the way of is run again as a whole, which is why its work must
 * touch nothing but the database. One whose connection is lost before it commits was never there; one whose commit got
 * no answer is reported and never repeated.
 */
export class MysqlWriter {
  readonly #database: Kysely<Database>;
  readonly #active = new Set<Promise<unknown>>();
  /** Work that met others before goes one by one, so that a crowd on one row thins out instead of meeting again. */
  #lane: Promise<unknown> = Promise.resolve();

  constructor(database: Kysely<Database>) {
    this.#database = database;
  }

  write<T>(work: Work<T>): Promise<T> {
    const written = this.#write(work);
    const ended = written
      .catch(() => undefined)
      .finally(() => {
        this.#active.delete(ended);
      });
    this.#active.add(ended);
    return written;
  }

  /** Resolves when all that was asked for before is written or has failed. */
  async settled(): Promise<void> {
    while (this.#active.size > 0) await Promise.all(this.#active);
  }

  async #write<T>(work: Work<T>): Promise<T> {
    let conflicts = 0;
    let crossings = 0;
    for (;;) {
      try {
        const run = () => this.#database.transaction().execute(work);
        return await (conflicts === 0 ? run() : this.#inLane(run));
      } catch (error) {
        if (isRaworcError(error)) throw error;
        const failure = failureOf(error);
        if (failure === "conflict")
          conflicts += (error as { errno?: number }).errno === LOCK_WAIT_TIMEOUT ? LOCK_WAIT_WEIGHT : 1;
        else if (failure === "crossed") crossings += 1;
        else throw error;
        if (crossings >= CROSSINGS_MAX) throw error;
        if (conflicts >= CONFLICTS_MAX) throw tooBusy(error);
      }
      // Other servers may be in the way too: a random pause lets one of them go first.
      if (conflicts > 1) await sleep(Math.random() * Math.min(PAUSE_MAX_MS, 2 ** conflicts));
    }
  }

  #inLane<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#lane.then(run, run);
    this.#lane = turn.catch(() => undefined);
    return turn;
  }
}
