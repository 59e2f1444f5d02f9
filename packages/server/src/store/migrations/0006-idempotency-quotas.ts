import type { Kysely } from "kysely";
import { createIndex, createTable, ID, LONG_TEXT, TEXT, TIME } from "./schema.ts";

export async function up(database: Kysely<unknown>): Promise<void> {
  const digest = "varchar(64)";
  await createTable(database, "idempotency_keys", (table) =>
    table
      .addColumn("id", digest, (column) => column.primaryKey())
      .addColumn("fingerprint", digest, (column) => column.notNull())
      .addColumn("server_id", ID, (column) => column.notNull())
      .addColumn("is_settled", "integer", (column) => column.notNull())
      .addColumn("status", "integer")
      .addColumn("headers", TEXT)
      .addColumn("body", LONG_TEXT)
      .addColumn("created_at", TIME, (column) => column.notNull()),
  );
  await createIndex(database, "idempotency_keys_created", "idempotency_keys", ["created_at"]);
  await createTable(
    database,
    "message_times",
    (table) =>
      table
        .addColumn("space_id", ID, (column) => column.notNull())
        .addColumn("created_at", TIME, (column) => column.notNull())
        .addColumn("message_id", ID, (column) => column.notNull())
        .addPrimaryKeyConstraint("message_times_key", ["space_id", "created_at", "message_id"]),
    { clustered: true },
  );
}
