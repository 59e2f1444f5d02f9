import { type Kysely, sql } from "kysely";
import { addColumn, createIndex, createTable, ID } from "./schema.ts";

export async function up(database: Kysely<unknown>): Promise<void> {
  const key = "varchar(64)";
  await createTable(database, "removals", (table) =>
    table
      .addColumn("kind", "varchar(16)", (column) => column.notNull())
      .addColumn("name", "varchar(255)", (column) => column.notNull())
      .addColumn("space_id", ID, (column) => column.notNull())
      .addPrimaryKeyConstraint("removals_key", ["kind", "name"]),
  );
  await createIndex(database, "removals_space", "removals", ["space_id"]);
  await addColumn(database, "artifacts", "space_id", ID);
  await addColumn(database, "artifacts", "identity", key);
  await addColumn(database, "artifacts", "generation", "integer");
  // Most artifacts were built once, and the first generation is named like its identity.
  await sql`update artifacts set identity = artifact_key, generation = 0 where identity is null`.execute(database);
  await attribute(database);
  await createIndex(database, "artifacts_space", "artifacts", ["space_id"]);
  await createIndex(database, "artifacts_identity", "artifacts", ["identity", "generation"]);
  await createIndex(database, "builds_image", "builds", ["space_id", "image_tag"]);
}

/** Artifacts of before belong to the space whose builds name them; what no build names stays as it is. */
async function attribute(database: Kysely<unknown>): Promise<void> {
  const { rows } = await sql<{ space_id: string; agents: string }>`select space_id, agents from builds`.execute(
    database,
  );
  for (const { agents, space_id } of rows) {
    for (const { artifact_key } of JSON.parse(agents) as { artifact_key: string | null }[]) {
      if (artifact_key === null) continue;
      await sql`update artifacts set space_id = ${space_id} where artifact_key = ${artifact_key}`.execute(database);
    }
  }
}
