import type { Kysely } from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import * as initial from "./migrations/0001-initial.ts";
import type { Database } from "./rows.ts";

const MIGRATIONS: Record<string, Migration> = { "0001-initial": initial };

/** Brings a database to this version's shape. Repeatable. Throws when it is newer than this version. */
export async function migrate(database: Kysely<Database>): Promise<void> {
  const migrator = new Migrator({ db: database, provider: { getMigrations: async () => MIGRATIONS } });
  const { error } = await migrator.migrateToLatest();
  if (error === undefined) return;
  const cause = error instanceof Error ? error : new Error(String(error));
  throw new Error(`The database could not be brought to this version: ${cause.message}`, { cause });
}
