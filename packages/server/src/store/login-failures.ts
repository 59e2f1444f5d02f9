import { deciding } from "./locks.ts";
import type { Reader, Transaction } from "./store.ts";

/** Times of failures in milliseconds since 1970, oldest first, by subject; in a write transaction they stay so. */
export async function findLoginFailures(
  reader: Reader,
  subjects: readonly string[],
): Promise<ReadonlyMap<string, readonly number[]>> {
  const select = reader.selectFrom("login_failures").selectAll().where("subject", "in", subjects).orderBy("subject");
  const rows = await deciding(reader, select).execute();
  return new Map(rows.map(({ subject, times }) => [subject, JSON.parse(times) as number[]]));
}

export async function insertLoginFailure(transaction: Transaction, subject: string, time: number): Promise<void> {
  await transaction
    .insertInto("login_failures")
    .values({ subject, times: JSON.stringify([time]), last_at: time })
    .execute();
}

/** Of a subject that is known. The row stays: whoever waits for its lock must find it. */
export async function updateLoginFailures(
  transaction: Transaction,
  subject: string,
  times: readonly number[],
): Promise<void> {
  const last = times.at(-1);
  await transaction
    .updateTable("login_failures")
    .set({ times: JSON.stringify(times), ...(last === undefined ? {} : { last_at: last }) })
    .where("subject", "=", subject)
    .execute();
}

/** Forgets subjects that have not failed since that time. */
export async function deleteLoginFailuresBefore(transaction: Transaction, time: number): Promise<void> {
  await transaction.deleteFrom("login_failures").where("last_at", "<", time).execute();
}
