import type { Kysely } from "kysely";
import { addColumn, createIndex, createTable, ID, TIME } from "./schema.ts";

export async function up(database: Kysely<unknown>): Promise<void> {
  await addColumn(database, "sessions", "pause_requested_at", TIME);
  await addColumn(database, "sessions", "fork_pending", "integer");
  await createTable(database, "pool_computers", (table) =>
    table
      .addColumn("id", ID, (column) => column.primaryKey())
      .addColumn("space_id", ID, (column) => column.notNull())
      .addColumn("build_id", ID)
      .addColumn("shape", "varchar(64)", (column) => column.notNull())
      .addColumn("created_at", TIME, (column) => column.notNull())
      .addForeignKeyConstraint("pool_computers_space_id_reference", ["space_id"], "spaces", ["id"], (key) =>
        key.onDelete("cascade"),
      ),
  );
  await createIndex(database, "pool_computers_space", "pool_computers", ["space_id", "created_at"]);
}
