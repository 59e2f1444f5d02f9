import { randomUUID } from "node:crypto";
import type { Reader, Transaction } from "./store.ts";

/**
 * Marks that accounts, roles, bindings or tokens change in this transaction. Comes first in it: the row is locked until the
 * commit, so changes of access happen one after the other on all servers, and what one has checked holds when it commits.
 */
export async function touchAccess(transaction: Transaction): Promise<void> {
  await transaction.updateTable("settings").set({ value: randomUUID() }).where("name", "=", "access_version").execute();
}

/** Differs from what it was whenever access has changed. */
export async function readAccessVersion(reader: Reader): Promise<string> {
  const row = await reader
    .selectFrom("settings")
    .select("value")
    .where("name", "=", "access_version")
    .executeTakeFirstOrThrow();
  return row.value;
}
