import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { Kysely, SqliteDialect } from "kysely";
import { migrate } from "./migrate.ts";
import type { Database } from "./rows.ts";
import { openSqlite } from "./sqlite.ts";
import type { StoreSide } from "./store.ts";
import { WriteQueue } from "./write-queue.ts";

/** How long a write blocks this process for one of another; after that it waits in the queue. */
const BUSY_TIMEOUT_MS = 100;

/** Opens and migrates the SQLite database at a path. Throws when it can't be opened or was written by a newer version. */
export async function openSqliteStore(path: string): Promise<StoreSide> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const open = (options: Parameters<typeof openSqlite>[1]) =>
    new Kysely<Database>({ dialect: new SqliteDialect({ database: openSqlite(path, options) }) });
  const migrating = open({ readOnly: false });
  try {
    await migrate(migrating);
  } finally {
    await migrating.destroy();
  }
  const writer = open({ readOnly: false, busyTimeoutMs: BUSY_TIMEOUT_MS });
  const read = open({ readOnly: true });
  const queue = new WriteQueue(writer);
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
