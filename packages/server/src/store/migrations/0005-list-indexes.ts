import type { Kysely } from "kysely";
import { createIndex } from "./schema.ts";

/** Each list is read from an index in its own order, past whatever it leaves out: deleted sessions outnumber the others. */
export async function up(database: Kysely<unknown>): Promise<void> {
  const page = ["created_at", "id"];
  const live = ["terminated_at", ...page];
  await createIndex(database, "sessions_live", "sessions", live);
  await createIndex(database, "sessions_space_live", "sessions", ["space_id", ...live]);
  await createIndex(database, "sessions_owner_live", "sessions", ["owner_id", ...live]);
  await createIndex(database, "sessions_creator", "sessions", ["created_by", ...page]);
  await createIndex(database, "builds_space_status", "builds", ["space_id", "status", ...page]);
  await createIndex(database, "role_bindings_account_created", "role_bindings", ["account_id", ...page]);
  await createIndex(database, "role_bindings_space_created", "role_bindings", ["space_id", ...page]);
}
