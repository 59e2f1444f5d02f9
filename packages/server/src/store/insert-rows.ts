import type { Insertable } from "kysely";
import type { Database } from "./rows.ts";
import type { Transaction } from "./store.ts";

/** SQLite takes 32,766 parameters in a statement. */
const PARAMETERS_MAX = 30_000;
/** Characters of one statement's texts: what the database takes in a packet is some times more. */
const CHARACTERS_MAX = 4 * 1024 * 1024;

/** Inserts rows, in several statements when they are too many or too long for one. */
export async function insertRows<T extends keyof Database>(
  transaction: Transaction,
  table: T,
  rows: readonly Insertable<Database[T]>[],
): Promise<void> {
  for (const part of partsOf(rows)) await transaction.insertInto(table).values(part).execute();
}

function* partsOf<R extends object>(rows: readonly R[]): Generator<R[]> {
  let part: R[] = [];
  let parameters = 0;
  let characters = 0;
  for (const row of rows) {
    const values = Object.values(row);
    const length = values.reduce((sum: number, value) => sum + (typeof value === "string" ? value.length : 8), 0);
    if (part.length > 0 && (parameters + values.length > PARAMETERS_MAX || characters + length > CHARACTERS_MAX)) {
      yield part;
      part = [];
      parameters = 0;
      characters = 0;
    }
    part.push(row);
    parameters += values.length;
    characters += length;
  }
  if (part.length > 0) yield part;
}
