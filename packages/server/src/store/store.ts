import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { Kysely, SqliteDialect } from "kysely";
import { migrate } from "./migrate.ts";
import type { Database } from "./rows.ts";
import { openSqlite } from "./sqlite.ts";
import { type Transaction, WriteQueue } from "./write-queue.ts";

export type { Transaction } from "./write-queue.ts";

/** For reads: sees what is committed. */
export type Reader = Kysely<Database>;

export interface Store {
  readonly read: Reader;
  /** Runs in a transaction; resolves after the commit is on the disk. The work must touch nothing but the database. */
  write<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  /** Waits for what was begun, then closes. Idempotent. */
  close(): Promise<void>;
}

/** Opens and migrates the SQLite database at a path. Throws when it can't be opened or was written by a newer version. */
export async function openStore(path: string): Promise<Store> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const writer = new Kysely<Database>({
    dialect: new SqliteDialect({ database: openSqlite(path, { readOnly: false }) }),
  });
  await migrate(writer);
  const read = new Kysely<Database>({ dialect: new SqliteDialect({ database: openSqlite(path, { readOnly: true }) }) });
  const queue = new WriteQueue(writer);
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await queue.settled();
    await read.destroy();
    await writer.destroy();
  };
  return {
    read,
    write: (work) => (closed === undefined ? queue.write(work) : Promise.reject(new Error("The store is closed"))),
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}
