import { locksRows } from "./locks.ts";
import type { PoolComputerRow } from "./rows.ts";
import { runStatement } from "./statement.ts";
import type { Reader, Transaction } from "./store.ts";
import { now } from "./time.ts";

/** A computer of a space's warm pool, from before it is made until a session takes it. */
export type PoolComputer = Readonly<PoolComputerRow>;

export async function listPoolComputers(reader: Reader, spaceId?: string): Promise<PoolComputer[]> {
  const select = reader.selectFrom("pool_computers").selectAll().orderBy("created_at");
  return (spaceId === undefined ? select : select.where("space_id", "=", spaceId)).execute();
}

export async function findPoolComputer(reader: Reader, id: string): Promise<PoolComputer | undefined> {
  return reader.selectFrom("pool_computers").selectAll().where("id", "=", id).executeTakeFirst();
}

export async function insertPoolComputer(
  transaction: Transaction,
  computer: Omit<PoolComputer, "created_at">,
): Promise<void> {
  await transaction
    .insertInto("pool_computers")
    .values({ ...computer, created_at: now() })
    .execute();
}

/** False when it was not there: somebody else has taken or removed it. */
export async function deletePoolComputer(transaction: Transaction, id: string): Promise<boolean> {
  const select = "select id from pool_computers where id = ?";
  const rows = await runStatement(transaction, locksRows(transaction) ? `${select} for update` : select, [id]);
  if (rows.length === 0) return false;
  await runStatement(transaction, "delete from pool_computers where id = ?", [id]);
  return true;
}
