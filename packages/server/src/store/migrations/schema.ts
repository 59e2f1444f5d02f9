import { type CreateTableBuilder, type Kysely, sql } from "kysely";
import { dialectOf } from "../dialect.ts";

// Types that mean the same in SQLite and in the MySQL family, where `text` would end at 64 KiB.
export const ID = "varchar(36)";
export const NAME = "varchar(128)";
export const TIME = "varchar(24)";
/** Up to 16 MiB. */
export const TEXT = sql`mediumtext`;
/** Up to 4 GiB: JSON that may hold a whole reply, of which each character can become six. */
export const LONG_TEXT = sql`longtext`;
/** 64 bits. */
export const COUNTER = "bigint";

type Columns<C extends string> = (table: CreateTableBuilder<never>) => CreateTableBuilder<never, C>;

export interface TableOptions {
  /** SQLite keeps the rows in the primary key itself, as InnoDB always does. */
  readonly clustered?: boolean;
}

/**
 * Creates a table. MySQL commits each statement by itself, so a migration that was cut short is run again from its
 * beginning: whatever it does must be repeatable.
 */
export async function createTable<C extends string>(
  database: Kysely<unknown>,
  name: string,
  columns: Columns<C>,
  options: TableOptions = {},
): Promise<void> {
  const table = columns(database.schema.createTable(name).ifNotExists() as unknown as CreateTableBuilder<never>);
  if (dialectOf(database) === "mysql") {
    const collation = sql.raw(await binaryCollation(database));
    await table.modifyEnd(sql`engine = InnoDB default character set utf8mb4 collate ${collation}`).execute();
  } else if (options.clustered === true) {
    await table.modifyEnd(sql`without rowid`).execute();
  } else {
    await table.execute();
  }
}

/** By byte and without padding: `a`, `A` and `a ` are three names, as they are in SQLite. */
async function binaryCollation(database: Kysely<unknown>): Promise<string> {
  const { rows } = await sql<{ version: string }>`select version() as version`.execute(database);
  return rows[0]?.version.includes("MariaDB") === true ? "utf8mb4_nopad_bin" : "utf8mb4_0900_bin";
}

/** Creates an index unless it is there. */
export async function createIndex(
  database: Kysely<unknown>,
  name: string,
  table: string,
  columns: readonly string[],
): Promise<void> {
  if (dialectOf(database) === "mysql" && (await hasIndex(database, name, table))) return;
  const create = database.schema
    .createIndex(name)
    .on(table)
    .columns([...columns]);
  await (dialectOf(database) === "mysql" ? create : create.ifNotExists()).execute();
}

/** Drops an index if it is there. */
export async function dropIndex(database: Kysely<unknown>, name: string, table: string): Promise<void> {
  if (dialectOf(database) === "mysql" && !(await hasIndex(database, name, table))) return;
  const drop = database.schema.dropIndex(name);
  await (dialectOf(database) === "mysql" ? drop.on(table) : drop.ifExists()).execute();
}

async function hasIndex(database: Kysely<unknown>, name: string, table: string): Promise<boolean> {
  // Not from information_schema, for which MySQL opens the tables of all databases.
  const { rows } = await sql`show index from ${sql.table(table)} where key_name = ${name}`.execute(database);
  return rows.length > 0;
}

/** Adds a column unless it is there. */
export async function addColumn(
  database: Kysely<unknown>,
  table: string,
  column: string,
  type: Parameters<ReturnType<Kysely<unknown>["schema"]["alterTable"]>["addColumn"]>[1],
): Promise<void> {
  if (await hasColumn(database, table, column)) return;
  await database.schema.alterTable(table).addColumn(column, type).execute();
}

/** Drops a column if it is there. */
export async function dropColumn(database: Kysely<unknown>, table: string, column: string): Promise<void> {
  if (await hasColumn(database, table, column)) await database.schema.alterTable(table).dropColumn(column).execute();
}

async function hasColumn(database: Kysely<unknown>, table: string, column: string): Promise<boolean> {
  const { rows } = await (dialectOf(database) === "mysql"
    ? sql`show columns from ${sql.table(table)} where field = ${column}`
    : sql`select 1 from pragma_table_info(${table}) where name = ${column}`
  ).execute(database);
  return rows.length > 0;
}
