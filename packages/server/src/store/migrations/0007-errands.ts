import type { Kysely } from "kysely";
import { createIndex, createTable, ID, TEXT } from "./schema.ts";

export async function up(database: Kysely<unknown>): Promise<void> {
  await createTable(database, "errands", (table) =>
    table
      .addColumn("id", ID, (column) => column.primaryKey())
      .addColumn("kind", "varchar(16)", (column) => column.notNull())
      .addColumn("subject", ID, (column) => column.notNull())
      .addColumn("server_id", ID, (column) => column.notNull())
      .addColumn("request", TEXT, (column) => column.notNull())
      .addColumn("answer", TEXT),
  );
  await createIndex(database, "errands_subject", "errands", ["subject"]);
  await createIndex(database, "errands_server", "errands", ["server_id"]);
}
