import { type RawBuilder, sql } from "kysely";
import { dialectOf } from "./dialect.ts";
import type { ServerRow } from "./rows.ts";
import type { Reader, Transaction } from "./store.ts";

/** A server on this store, as another one sees it. */
export interface StoredServer extends Omit<ServerRow, "operates"> {
  /** Whether it drives sessions, messages and builds. */
  readonly operates: boolean;
  /** Milliseconds since its last heartbeat, by the database's clock. */
  readonly age: number;
}

/** Milliseconds since 1970 by the database's clock, which all servers share. */
function databaseTime(reader: Reader): RawBuilder<number> {
  return dialectOf(reader) === "mysql"
    ? sql<number>`cast(unix_timestamp(now(3)) * 1000 as signed)`
    : sql<number>`cast(unixepoch('subsec') * 1000 as integer)`;
}

export async function insertServer(transaction: Transaction, server: Omit<ServerRow, "heartbeat_at">): Promise<void> {
  await transaction
    .insertInto("servers")
    .values({ ...server, heartbeat_at: databaseTime(transaction) })
    .execute();
}

/** False when the server was taken for dead and is no longer listed. */
export async function beat(transaction: Transaction, id: string): Promise<boolean> {
  const { numUpdatedRows } = await transaction
    .updateTable("servers")
    .set({ heartbeat_at: databaseTime(transaction) })
    .where("id", "=", id)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

export async function listServers(reader: Reader): Promise<StoredServer[]> {
  const rows = await reader
    .selectFrom("servers")
    .selectAll()
    .select(databaseTime(reader).as("now"))
    .orderBy("id")
    .execute();
  return rows.map(({ now, ...row }) => ({ ...row, operates: row.operates !== 0, age: Number(now) - row.heartbeat_at }));
}

/** Whether a server is on the list: others count on its work. */
export async function isListedServer(reader: Reader, id: string): Promise<boolean> {
  const row = await reader.selectFrom("servers").select("id").where("id", "=", id).executeTakeFirst();
  return row !== undefined;
}

/**
 * Takes a server off the list, and with that frees its leases and ends its errands; with a heartbeat only if that is still
 * its last.
 */
export async function deleteServer(transaction: Transaction, id: string, heartbeatAt?: number): Promise<void> {
  let gone = transaction.deleteFrom("servers").where("id", "=", id);
  if (heartbeatAt !== undefined) gone = gone.where("heartbeat_at", "=", heartbeatAt);
  const { numDeletedRows } = await gone.executeTakeFirst();
  if (numDeletedRows > 0n) await transaction.deleteFrom("errands").where("server_id", "=", id).execute();
}
