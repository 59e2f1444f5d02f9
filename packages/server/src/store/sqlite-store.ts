import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { Kysely, type SqliteDatabase, SqliteDialect } from "kysely";
import { migrate } from "./migrate.ts";
import type { Database } from "./rows.ts";
import { openSqlite } from "./sqlite.ts";
import { readsFrom } from "./sqlite-reads.ts";
import { runDirectly } from "./statement.ts";
import type { StoreSide } from "./store.ts";
import { WriteQueue } from "./write-queue.ts";

/** How long a write blocks this process for one of another; after that it waits in the queue. */
const BUSY_TIMEOUT_MS = 100;

/** Opens and migrates the SQLite database at a path. Throws when it can't be opened or was written by a newer version. */
export async function openSqliteStore(path: string): Promise<StoreSide> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const migrating = kyselyOf(openSqlite(path, { readOnly: false }));
  try {
    await migrate(migrating);
  } finally {
    await migrating.destroy();
  }
  const writing = openSqlite(path, { readOnly: false, busyTimeoutMs: BUSY_TIMEOUT_MS });
  const writer = kyselyOf(writing);
  const queue = new WriteQueue(writer);
  const read = kyselyOf(readsFrom(openSqlite(path, { readOnly: true }), writing));
  return {
    read,
    write: (work) => queue.write(work),
    close: async () => {
      await queue.settled();
      await read.destroy();
      await writer.destroy();
    },
  };
}

function kyselyOf(database: SqliteDatabase): Kysely<Database> {
  const kysely = new Kysely<Database>({ dialect: new SqliteDialect({ database }) });
  runDirectly(kysely, (sql, values) => {
    const statement = database.prepare(sql);
    if (statement.reader) return statement.all(values);
    statement.run(values);
    return [];
  });
  return kysely;
}
