import { CompiledQuery } from "kysely";
import type { Database } from "./rows.ts";
import type { Reader } from "./store.ts";

type Values = readonly unknown[];
type Run = (sql: string, values: Values) => unknown[];

const direct = new WeakMap<Reader, Run>();

/** Statements that are run on this reader or transaction go to the database by themselves, past Kysely. */
export function runDirectly(reader: Reader, run: Run): void {
  direct.set(reader, run);
}

/**
 * Runs a statement that is written out, with `?` for its values, and gives its rows. For what each call or message needs:
 * to build and compile such a query anew costs several times what the database takes to run it. All other queries are
 * Kysely's.
 */
export async function runStatement<Row = never>(reader: Reader, sql: string, values: Values = []): Promise<Row[]> {
  return selectRows(reader, sql, values);
}

/** The same, with the rows at once where the database is in this process. */
export function selectRows<Row>(reader: Reader, sql: string, values: Values): Row[] | Promise<Row[]> {
  const run = direct.get(reader);
  if (run !== undefined) return run(sql, values) as Row[];
  return reader.executeQuery<Row>(CompiledQuery.raw(sql, [...values])).then(({ rows }) => rows);
}

/** Inserts one row of a table whose columns are always the same ones. */
export async function insertRow<T extends keyof Database>(
  transaction: Reader,
  table: T,
  row: Database[T],
): Promise<void> {
  const columns = Object.keys(row as object);
  const places = columns.map(() => "?").join(", ");
  await runStatement(
    transaction,
    `insert into ${table} (${columns.join(", ")}) values (${places})`,
    Object.values(row as object),
  );
}

type TableWithId = { [T in keyof Database]: Database[T] extends { id: string } ? T : never }[keyof Database];

/** Sets columns of the row with an id; those that are undefined stay as they are. */
export async function updateRow<T extends TableWithId>(
  transaction: Reader,
  table: T,
  id: string,
  columns: Partial<Database[T]>,
): Promise<void> {
  const set = Object.entries(columns).filter(([, value]) => value !== undefined);
  if (set.length === 0) return;
  const words = set.map(([name]) => `${name} = ?`).join(", ");
  await runStatement(transaction, `update ${table} set ${words} where id = ?`, [...set.map(([, value]) => value), id]);
}
