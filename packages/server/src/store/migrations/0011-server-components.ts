import type { Kysely } from "kysely";
import { addColumn } from "./schema.ts";

export async function up(database: Kysely<unknown>): Promise<void> {
  await addColumn(database, "servers", "operates", "integer");
}
