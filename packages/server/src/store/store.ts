import type { Kysely } from "kysely";
import type { DatabaseAddress } from "../config.ts";
import type { Database } from "./rows.ts";
import { openSqliteStore } from "./sqlite-store.ts";
import { checkDatabase } from "./store-check.ts";
import type { Transaction } from "./write-queue.ts";

export type { Transaction } from "./write-queue.ts";

/** For reads: sees what is committed. */
export type Reader = Kysely<Database>;

/** What each database has to offer. */
export interface StoreSide {
  readonly read: Reader;
  readonly write: Store["write"];
  readonly close: () => Promise<void>;
}

/**
 * While a database that is reached by network is gone, reads and writes are refused with `not_ready` at once. What was
 * being committed at that moment may or may not have been: its refusal says so.
 */
export interface Store {
  readonly read: Reader;
  /**
   * Runs in a transaction; resolves after the commit is on the disk. The work must touch nothing but the database: it may
   * be run more than once, and of what it does only the last time counts. In MySQL other transactions run beside it, so
   * what it decides upon is read with `deciding` or after `lockRow`.
   */
  write<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  /** Rejects with `not_ready` when the database doesn't answer within the time. */
  check(milliseconds: number): Promise<void>;
  /** Waits for what was begun, then closes. Idempotent. */
  close(): Promise<void>;
}

/** Opens and migrates a database. Throws what to do when it can't be opened or was written by a newer version. */
export async function openStore(address: DatabaseAddress): Promise<Store> {
  const side = await openSide(address);
  let closed: Promise<void> | undefined;
  return {
    read: side.read,
    write: (work) => (closed === undefined ? side.write(work) : Promise.reject(new Error("The store is closed"))),
    check: (milliseconds) => checkDatabase(side.read, milliseconds),
    close: () => {
      closed ??= side.close();
      return closed;
    },
  };
}

async function openSide(address: DatabaseAddress): Promise<StoreSide> {
  if (address.kind === "sqlite") return openSqliteStore(address.path);
  // Loaded on demand: most installations have no use for it.
  const { openMysql } = await import("./mysql.ts");
  return openMysql(address.url);
}
