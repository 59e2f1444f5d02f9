import { type Kysely, sql } from "kysely";

// Column types work in SQLite and in the MySQL family; ids and names are compared by byte.
const ID = "varchar(36)";
const NAME = "varchar(128)";
const TIME = "varchar(24)";

export async function up(database: Kysely<unknown>): Promise<void> {
  const { schema } = database;
  await schema
    .createTable("settings")
    .addColumn("name", NAME, (column) => column.primaryKey())
    .addColumn("value", "text", (column) => column.notNull())
    .execute();

  await schema
    .createTable("spaces")
    .addColumn("id", ID, (column) => column.primaryKey())
    .addColumn("name", NAME, (column) => column.notNull().unique())
    .addColumn("description", "text", (column) => column.notNull())
    .addColumn("settings", "text", (column) => column.notNull())
    .addColumn("active", "integer", (column) => column.notNull())
    .addColumn("created_at", TIME, (column) => column.notNull())
    .addColumn("updated_at", TIME, (column) => column.notNull())
    .addColumn("created_by", NAME, (column) => column.notNull())
    .execute();
  await schema.createIndex("spaces_created").on("spaces").columns(["created_at", "id"]).execute();

  await schema
    .createTable("accounts")
    .addColumn("id", ID, (column) => column.primaryKey())
    .addColumn("user", NAME, (column) => column.notNull().unique())
    .addColumn("password_hash", "varchar(512)", (column) => column.notNull())
    .addColumn("description", "text", (column) => column.notNull())
    .addColumn("active", "integer", (column) => column.notNull())
    .addColumn("tokens_valid_from", TIME, (column) => column.notNull())
    .addColumn("created_at", TIME, (column) => column.notNull())
    .addColumn("updated_at", TIME, (column) => column.notNull())
    .execute();

  await schema
    .createTable("roles")
    .addColumn("name", NAME, (column) => column.primaryKey())
    .addColumn("description", "text", (column) => column.notNull())
    .addColumn("rules", "text", (column) => column.notNull())
    .addColumn("built_in", "integer", (column) => column.notNull())
    .addColumn("created_at", TIME, (column) => column.notNull())
    .execute();

  await schema
    .createTable("role_bindings")
    .addColumn("id", ID, (column) => column.primaryKey())
    .addColumn("role_name", NAME, (column) => column.notNull().references("roles.name"))
    .addColumn("account_id", ID, (column) => column.notNull().references("accounts.id").onDelete("cascade"))
    .addColumn("space_id", ID, (column) => column.references("spaces.id").onDelete("cascade"))
    .addColumn("created_at", TIME, (column) => column.notNull())
    .execute();
  await schema.createIndex("role_bindings_account").on("role_bindings").column("account_id").execute();

  await schema
    .createTable("revoked_tokens")
    .addColumn("token_id", ID, (column) => column.primaryKey())
    .addColumn("expires_at", TIME, (column) => column.notNull())
    .execute();

  await schema
    .createTable("agents")
    .addColumn("id", ID, (column) => column.primaryKey())
    .addColumn("space_id", ID, (column) => column.notNull().references("spaces.id").onDelete("cascade"))
    .addColumn("name", NAME, (column) => column.notNull())
    .addColumn("description", "text", (column) => column.notNull())
    .addColumn("purpose", "text", (column) => column.notNull())
    .addColumn("source_repo", "text", (column) => column.notNull())
    .addColumn("source_branch", "varchar(255)")
    .addColumn("source_path", "text")
    .addColumn("stopped", "integer", (column) => column.notNull())
    .addColumn("created_at", TIME, (column) => column.notNull())
    .addColumn("updated_at", TIME, (column) => column.notNull())
    .addColumn("created_by", NAME, (column) => column.notNull())
    .addUniqueConstraint("agents_name", ["space_id", "name"])
    .execute();
  await schema.createIndex("agents_created").on("agents").columns(["space_id", "created_at", "id"]).execute();

  await schema
    .createTable("artifacts")
    .addColumn("artifact_key", "varchar(64)", (column) => column.primaryKey())
    .addColumn("manifest", "text", (column) => column.notNull())
    .addColumn("created_at", TIME, (column) => column.notNull())
    .execute();

  await schema
    .createTable("builds")
    .addColumn("id", ID, (column) => column.primaryKey())
    .addColumn("space_id", ID, (column) => column.notNull().references("spaces.id").onDelete("cascade"))
    .addColumn("status", "varchar(16)", (column) => column.notNull())
    .addColumn("image_tag", "varchar(255)")
    .addColumn("agents", "text", (column) => column.notNull())
    .addColumn("force_rebuild", "integer", (column) => column.notNull())
    .addColumn("not_before", TIME, (column) => column.notNull())
    .addColumn("cancel_requested", "integer", (column) => column.notNull())
    .addColumn("created_at", TIME, (column) => column.notNull())
    .addColumn("started_at", TIME)
    .addColumn("completed_at", TIME)
    .addColumn("error", "text")
    .execute();
  await schema.createIndex("builds_created").on("builds").columns(["space_id", "created_at", "id"]).execute();
  await schema.createIndex("builds_status").on("builds").columns(["status", "space_id", "created_at"]).execute();

  await schema
    .createTable("build_logs")
    .addColumn("build_id", ID, (column) => column.notNull().references("builds.id").onDelete("cascade"))
    .addColumn("seq", "integer", (column) => column.notNull())
    .addColumn("created_at", TIME, (column) => column.notNull())
    .addColumn("line", "text", (column) => column.notNull())
    .addPrimaryKeyConstraint("build_logs_key", ["build_id", "seq"])
    .execute();

  await schema
    .createTable("sessions")
    .addColumn("id", ID, (column) => column.primaryKey())
    .addColumn("space_id", ID, (column) => column.notNull().references("spaces.id"))
    .addColumn("name", NAME)
    .addColumn("created_by", NAME, (column) => column.notNull())
    .addColumn("owner_id", ID, (column) => column.notNull())
    .addColumn("state", "varchar(16)", (column) => column.notNull())
    .addColumn("tier", "varchar(16)", (column) => column.notNull())
    .addColumn("desired", "varchar(16)", (column) => column.notNull())
    .addColumn("build_id", ID)
    .addColumn("attempted", "integer", (column) => column.notNull())
    .addColumn("container_id", "varchar(255)")
    .addColumn("persistent_volume_id", "varchar(255)")
    .addColumn("parent_session_id", ID)
    .addColumn("limits", "text", (column) => column.notNull())
    .addColumn("network", "text", (column) => column.notNull())
    .addColumn("metadata", "text", (column) => column.notNull())
    .addColumn("created_at", TIME, (column) => column.notNull())
    .addColumn("started_at", TIME)
    .addColumn("last_activity_at", TIME, (column) => column.notNull())
    .addColumn("paused_at", TIME)
    .addColumn("terminated_at", TIME)
    .addColumn("termination_reason", "text")
    .addColumn("error", "text")
    .addColumn("last_event_id", "integer", (column) => column.notNull())
    .addColumn("last_seq", "integer", (column) => column.notNull())
    .execute();
  await schema.createIndex("sessions_created").on("sessions").columns(["created_at", "id"]).execute();
  await schema.createIndex("sessions_space").on("sessions").columns(["space_id", "created_at", "id"]).execute();
  await schema.createIndex("sessions_desired").on("sessions").column("desired").execute();
  await schema.createIndex("sessions_state").on("sessions").columns(["state", "created_at", "id"]).execute();

  await schema
    .createTable("messages")
    .addColumn("id", ID, (column) => column.primaryKey())
    .addColumn("session_id", ID, (column) => column.notNull().references("sessions.id"))
    .addColumn("seq", "integer", (column) => column.notNull())
    .addColumn("role", "varchar(16)", (column) => column.notNull())
    .addColumn("agent", NAME)
    .addColumn("in_reply_to", ID)
    .addColumn("content", "text", (column) => column.notNull())
    .addColumn("metadata", "text", (column) => column.notNull())
    .addColumn("status", "varchar(16)", (column) => column.notNull())
    .addColumn("error", "text")
    .addColumn("cancel_requested", "integer", (column) => column.notNull())
    .addColumn("created_at", TIME, (column) => column.notNull())
    .addUniqueConstraint("messages_seq", ["session_id", "seq"])
    .execute();
  await schema.createIndex("messages_reply").on("messages").column("in_reply_to").execute();
  await schema.createIndex("messages_status").on("messages").columns(["status", "session_id", "seq"]).execute();

  await schema
    .createTable("events")
    .addColumn("session_id", ID, (column) => column.notNull())
    .addColumn("id", "integer", (column) => column.notNull())
    .addColumn("type", "varchar(32)", (column) => column.notNull())
    .addColumn("created_at", TIME, (column) => column.notNull())
    .addColumn("data", "text", (column) => column.notNull())
    .addPrimaryKeyConstraint("events_key", ["session_id", "id"])
    .modifyEnd(sql`without rowid`)
    .execute();
}
