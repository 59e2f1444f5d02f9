import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { Kysely, SqliteDialect } from "kysely";
import { migrate } from "./migrate.ts";
import type { Database } from "./rows.ts";
import { openSqlite } from "./sqlite.ts";
import type { StoreSide } from "./store.ts";
import { WriteQueue } from "./write-queue.ts";

/** Opens and migrates the SQLite database at a path. Throws when it can't be opened or was written by a newer version. */
export async function openSqliteStore(path: string): Promise<StoreSide> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const writer = new Kysely<Database>({
    dialect: new SqliteDialect({ database: openSqlite(path, { readOnly: false }) }),
  });
  try {
    await migrate(writer);
  } catch (error) {
    await writer.destroy();
    throw error;
  }
  const read = new Kysely<Database>({ dialect: new SqliteDialect({ database: openSqlite(path, { readOnly: true }) }) });
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
