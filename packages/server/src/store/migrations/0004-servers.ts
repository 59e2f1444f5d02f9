import type { Kysely } from "kysely";
import { COUNTER, createIndex, createTable, ID, NAME } from "./schema.ts";

export async function up(database: Kysely<unknown>): Promise<void> {
  await createTable(database, "servers", (table) =>
    table
      .addColumn("id", ID, (column) => column.primaryKey())
      .addColumn("machine", NAME, (column) => column.notNull())
      .addColumn("address", "varchar(255)", (column) => column.notNull())
      .addColumn("heartbeat_at", COUNTER, (column) => column.notNull()),
  );
  // No reference: a lease outlives its server, which is how the others know what is free.
  await createTable(database, "leases", (table) =>
    table
      .addColumn("kind", "varchar(16)", (column) => column.notNull())
      .addColumn("lease_key", NAME, (column) => column.notNull())
      .addColumn("server_id", ID, (column) => column.notNull())
      .addPrimaryKeyConstraint("leases_key", ["kind", "lease_key"]),
  );
  await createIndex(database, "leases_server", "leases", ["server_id", "kind", "lease_key"]);
}
