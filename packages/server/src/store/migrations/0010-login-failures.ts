import type { Kysely } from "kysely";
import { COUNTER, createIndex, createTable, TEXT } from "./schema.ts";

export async function up(database: Kysely<unknown>): Promise<void> {
  await createTable(
    database,
    "login_failures",
    (table) =>
      table
        .addColumn("subject", "varchar(64)", (column) => column.primaryKey())
        .addColumn("times", TEXT, (column) => column.notNull())
        .addColumn("last_at", COUNTER, (column) => column.notNull()),
    { clustered: true },
  );
  await createIndex(database, "login_failures_last", "login_failures", ["last_at"]);
}
