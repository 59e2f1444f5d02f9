import { dialectOf } from "./dialect.ts";
import type { Database } from "./rows.ts";
import type { Reader, Transaction } from "./store.ts";

/**
 * Write transactions run one after another in SQLite, and beside each other in MySQL. There, what a transaction reads to
 * decide upon must stay as it is until it commits: such reads take the lock of the rows that they find. Reads outside of
 * a write transaction never lock.
 */
export function locksRows(reader: Reader): boolean {
  return reader.isTransaction && dialectOf(reader) === "mysql";
}

/** A select of one table whose rows the transaction at hand decides upon. */
export function deciding<Q extends { forUpdate(): Q }>(reader: Reader, select: Q): Q {
  return locksRows(reader) ? select.forUpdate() : select;
}

type TableWithId = { [T in keyof Database]: Database[T] extends { id: string } ? T : never }[keyof Database];

/**
 * Makes transactions that decide upon more than one row take turns: all that lock the same row, of a space for example,
 * run one after another. Locks what is there; a row that isn't locks nothing.
 */
export async function lockRow(transaction: Transaction, table: TableWithId, id: string): Promise<void> {
  if (!locksRows(transaction)) return;
  await transaction
    .selectFrom(table as "spaces")
    .select("id")
    .where("id", "=", id)
    .forUpdate()
    .execute();
}
