import { dialectOf } from "./dialect.ts";
import type { IdempotencyKeyRow } from "./rows.ts";
import type { Reader, Transaction } from "./store.ts";
import { now } from "./time.ts";

/** An answer as it was given, or will be. */
export interface KeptAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Null where the answer has no body. */
  readonly body: string | null;
}

export interface StoredIdempotencyKey {
  readonly fingerprint: string;
  /** The server that handles the first request; empty when none does any more. */
  readonly serverId: string;
  /** Whether the answer is final. */
  readonly isSettled: boolean;
  readonly answer: KeptAnswer | undefined;
  readonly createdAt: string;
}

function toKey(row: IdempotencyKeyRow): StoredIdempotencyKey {
  const { body, headers, status } = row;
  return {
    fingerprint: row.fingerprint,
    serverId: row.server_id,
    isSettled: row.is_settled === 1,
    answer: status === null ? undefined : { status, headers: JSON.parse(headers ?? "{}"), body },
    createdAt: row.created_at,
  };
}

export async function findIdempotencyKey(reader: Reader, id: string): Promise<StoredIdempotencyKey | undefined> {
  const row = await reader.selectFrom("idempotency_keys").selectAll().where("id", "=", id).executeTakeFirst();
  return row === undefined ? undefined : toKey(row);
}

/**
 * Takes a key for the transaction's change. False when it is taken; where another transaction is about to take it, that one
 * is waited for.
 */
export async function claimIdempotencyKey(
  transaction: Transaction,
  key: { readonly id: string; readonly fingerprint: string; readonly serverId: string },
): Promise<boolean> {
  const row: IdempotencyKeyRow = {
    id: key.id,
    fingerprint: key.fingerprint,
    server_id: key.serverId,
    is_settled: 0,
    status: null,
    headers: null,
    body: null,
    created_at: now(),
  };
  const insert = transaction.insertInto("idempotency_keys").values(row);
  const { numInsertedOrUpdatedRows } = await (dialectOf(transaction) === "mysql"
    ? insert.ignore()
    : insert.orIgnore()
  ).executeTakeFirstOrThrow();
  return numInsertedOrUpdatedRows === 1n;
}

/** Writes down the answer of a key; a final one is given to all who repeat the request. */
export async function keepAnswer(
  transaction: Transaction,
  id: string,
  answer: KeptAnswer,
  isSettled: boolean,
): Promise<void> {
  await transaction
    .updateTable("idempotency_keys")
    .set({
      is_settled: isSettled ? 1 : 0,
      status: answer.status,
      headers: JSON.stringify(answer.headers),
      body: answer.body,
    })
    .where("id", "=", id)
    .execute();
}

/** The first request has ended without an answer that could be kept. */
export async function abandonIdempotencyKey(transaction: Transaction, id: string): Promise<void> {
  await transaction.updateTable("idempotency_keys").set({ server_id: "" }).where("id", "=", id).execute();
}

export async function deleteIdempotencyKey(transaction: Transaction, id: string): Promise<void> {
  await transaction.deleteFrom("idempotency_keys").where("id", "=", id).execute();
}

/** Removes up to so many of the keys from before a time, oldest first; gives how many it were. */
export async function deleteIdempotencyKeysBefore(
  transaction: Transaction,
  time: string,
  limit: number,
): Promise<number> {
  const rows = await transaction
    .selectFrom("idempotency_keys")
    .select("id")
    .where("created_at", "<", time)
    .orderBy("created_at")
    .limit(limit)
    .execute();
  if (rows.length === 0) return 0;
  const ids = rows.map(({ id }) => id);
  await transaction.deleteFrom("idempotency_keys").where("id", "in", ids).execute();
  return ids.length;
}
