import { locksRows } from "./locks.ts";
import type { LeaseRow } from "./rows.ts";
import { insertRow, runStatement } from "./statement.ts";
import type { Reader, Transaction } from "./store.ts";

export interface Lease {
  readonly kind: string;
  readonly key: string;
}

/**
 * The server that a lease belongs to. In a write transaction it stays so until the commit: whoever takes the lease over
 * waits for that.
 */
export async function findLeaseHolder(reader: Reader, lease: Lease): Promise<string | undefined> {
  const select = "select server_id from leases where kind = ? and lease_key = ?";
  const statement = locksRows(reader) ? `${select} for update` : select;
  const [row] = await runStatement<Pick<LeaseRow, "server_id">>(reader, statement, [lease.kind, lease.key]);
  return row?.server_id;
}

/** Takes a lease that nobody has, or whose server is gone. False when another server has it. */
export async function claimLease(transaction: Transaction, lease: Lease, serverId: string): Promise<boolean> {
  const holder = await findLeaseHolder(transaction, lease);
  if (holder === serverId) return true;
  if (holder === undefined) {
    await insertLease(transaction, lease, serverId);
    return true;
  }
  const alive = await transaction.selectFrom("servers").select("id").where("id", "=", holder).executeTakeFirst();
  if (alive !== undefined) return false;
  await transaction
    .updateTable("leases")
    .set({ server_id: serverId })
    .where("kind", "=", lease.kind)
    .where("lease_key", "=", lease.key)
    .execute();
  return true;
}

/** For what is made in the same transaction, so that nobody else can have its lease. */
export async function insertLease(transaction: Transaction, lease: Lease, serverId: string): Promise<void> {
  const row: LeaseRow = { kind: lease.kind, lease_key: lease.key, server_id: serverId };
  await insertRow(transaction, "leases", row);
}

export async function deleteLease(transaction: Transaction, lease: Lease, serverId: string): Promise<void> {
  const statement = "delete from leases where kind = ? and lease_key = ? and server_id = ?";
  await runStatement(transaction, statement, [lease.kind, lease.key, serverId]);
}

/** Leases whose servers are gone. */
export async function listFreeLeases(reader: Reader): Promise<Lease[]> {
  const rows = await reader
    .selectFrom("leases")
    .select(["kind", "lease_key"])
    .where("server_id", "not in", reader.selectFrom("servers").select("id"))
    .execute();
  return rows.map((row) => ({ kind: row.kind, key: row.lease_key }));
}
