import { type Kysely, sql } from "kysely";
import { dialectOf } from "../dialect.ts";
import { dropIndex } from "./schema.ts";

/**
 * Each message changes its session's state twice and its own status three times: an index of these is rewritten as often.
 * Lists by state read the live sessions; of messages only those are looked for by status that have not ended.
 * Replies are looked for behind what they answer.
 */
export async function up(database: Kysely<unknown>): Promise<void> {
  await dropIndex(database, "sessions_state", "sessions");
  await dropIndex(database, "messages_reply", "messages");
  if (dialectOf(database) === "mysql") return;
  await dropIndex(database, "messages_status", "messages");
  await sql`create index if not exists messages_unfinished on messages (status, session_id, seq)
    where status in ('queued', 'running')`.execute(database);
}
