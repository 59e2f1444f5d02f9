import { type Kysely, sql } from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import { dialectOf } from "./dialect.ts";
import * as initial from "./migrations/0001-initial.ts";
import * as accessSecretsAudit from "./migrations/0002-access-secrets-audit.ts";
import * as sessionLife from "./migrations/0003-session-life.ts";
import * as servers from "./migrations/0004-servers.ts";
import * as listIndexes from "./migrations/0005-list-indexes.ts";
import * as idempotencyQuotas from "./migrations/0006-idempotency-quotas.ts";
import * as errands from "./migrations/0007-errands.ts";
import * as removals from "./migrations/0008-removals.ts";
import * as lighterIndexes from "./migrations/0009-lighter-indexes.ts";
import * as loginFailures from "./migrations/0010-login-failures.ts";
import * as serverComponents from "./migrations/0011-server-components.ts";
import type { Database } from "./rows.ts";

export const MIGRATIONS: Readonly<Record<string, Migration>> = {
  "0001-initial": initial,
  "0002-access-secrets-audit": accessSecretsAudit,
  "0003-session-life": sessionLife,
  "0004-servers": servers,
  "0005-list-indexes": listIndexes,
  "0006-idempotency-quotas": idempotencyQuotas,
  "0007-errands": errands,
  "0008-removals": removals,
  "0009-lighter-indexes": lighterIndexes,
  "0010-login-failures": loginFailures,
  "0011-server-components": serverComponents,
};

const LOCK_WAIT_S = 120;

/**
 * Brings a database to this version's shape. Repeatable, also after it was cut short; of several servers that start at
 * once, one does it and the others wait. Throws when the database is newer than this version.
 */
export async function migrate(database: Kysely<Database>, migrations = MIGRATIONS): Promise<void> {
  await (dialectOf(database) === "mysql" ? lockedByName(database, migrations) : inTransaction(database, migrations));
}

/** SQLite's one writer is the lock, and a migration that fails leaves nothing. */
async function inTransaction(database: Kysely<Database>, migrations: typeof MIGRATIONS): Promise<void> {
  await sql`begin immediate`.execute(database);
  try {
    await run(database, migrations);
    await sql`commit`.execute(database);
  } catch (error) {
    await sql`rollback`.execute(database).catch(() => undefined);
    throw error;
  }
}

/** The lock is the connection's, and gone with it. */
async function lockedByName(database: Kysely<Database>, migrations: typeof MIGRATIONS): Promise<void> {
  await database.connection().execute(async (connection) => {
    const name = sql`concat('raworc migration ', left(sha2(database(), 256), 32))`;
    const { rows } = await sql<{ taken: number | null }>`select get_lock(${name}, ${LOCK_WAIT_S}) as taken`.execute(
      connection,
    );
    if (rows[0]?.taken !== 1) {
      throw new Error(
        `Another server has been changing the database for ${LOCK_WAIT_S} s. Start this one when it is done.`,
      );
    }
    try {
      await run(connection, migrations);
    } finally {
      await sql`do release_lock(${name})`.execute(connection);
    }
  });
}

async function run(database: Kysely<Database>, migrations: typeof MIGRATIONS): Promise<void> {
  const applied = await readApplied(database);
  const unknown = applied.find((name) => !Object.hasOwn(migrations, name));
  if (unknown !== undefined) {
    throw new Error(
      `The database was changed by a newer version of Raworc (${unknown}), which this one can't read. ` +
        "Start that version, or go back to a copy of the database from before.",
    );
  }
  if (applied.length === Object.keys(migrations).length) return;
  const migrator = new Migrator({ db: database, provider: { getMigrations: async () => ({ ...migrations }) } });
  const { error } = await migrator.migrateToLatest();
  if (error === undefined) return;
  const cause = error instanceof Error ? error : new Error(String(error));
  throw new Error(`The database could not be brought to this version: ${cause.message}`, { cause });
}

/** Names of the migrations that the database has had; none for an empty one. */
export async function readApplied(database: Kysely<Database>): Promise<string[]> {
  const { rows: tables } = await (dialectOf(database) === "mysql"
    ? sql`show tables like 'kysely_migration'`
    : sql`select 1 from sqlite_master where name = 'kysely_migration'`
  ).execute(database);
  if (tables.length === 0) return [];
  const { rows } = await sql<{ name: string }>`select name from kysely_migration`.execute(database);
  return rows.map(({ name }) => name);
}
