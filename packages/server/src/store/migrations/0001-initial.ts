import type { Kysely } from "kysely";
import { COUNTER, createIndex, createTable, ID, LONG_TEXT, NAME, TEXT, TIME } from "./schema.ts";

export async function up(database: Kysely<unknown>): Promise<void> {
  await createTable(database, "settings", (table) =>
    table
      .addColumn("name", NAME, (column) => column.primaryKey())
      .addColumn("value", TEXT, (column) => column.notNull()),
  );

  await createTable(database, "spaces", (table) =>
    table
      .addColumn("id", ID, (column) => column.primaryKey())
      .addColumn("name", NAME, (column) => column.notNull().unique())
      .addColumn("description", TEXT, (column) => column.notNull())
      .addColumn("settings", TEXT, (column) => column.notNull())
      .addColumn("active", "integer", (column) => column.notNull())
      .addColumn("created_at", TIME, (column) => column.notNull())
      .addColumn("updated_at", TIME, (column) => column.notNull())
      .addColumn("created_by", NAME, (column) => column.notNull()),
  );
  await createIndex(database, "spaces_created", "spaces", ["created_at", "id"]);

  await createTable(database, "accounts", (table) =>
    table
      .addColumn("id", ID, (column) => column.primaryKey())
      .addColumn("user", NAME, (column) => column.notNull().unique())
      .addColumn("password_hash", "varchar(512)", (column) => column.notNull())
      .addColumn("description", TEXT, (column) => column.notNull())
      .addColumn("active", "integer", (column) => column.notNull())
      .addColumn("tokens_valid_from", TIME, (column) => column.notNull())
      .addColumn("created_at", TIME, (column) => column.notNull())
      .addColumn("updated_at", TIME, (column) => column.notNull()),
  );

  await createTable(database, "roles", (table) =>
    table
      .addColumn("name", NAME, (column) => column.primaryKey())
      .addColumn("description", TEXT, (column) => column.notNull())
      .addColumn("rules", TEXT, (column) => column.notNull())
      .addColumn("built_in", "integer", (column) => column.notNull())
      .addColumn("created_at", TIME, (column) => column.notNull()),
  );

  await createTable(database, "role_bindings", (table) =>
    table
      .addColumn("id", ID, (column) => column.primaryKey())
      .addColumn("role_name", NAME, (column) => column.notNull())
      .addColumn("account_id", ID, (column) => column.notNull())
      .addColumn("space_id", ID)
      .addColumn("created_at", TIME, (column) => column.notNull())
      .addForeignKeyConstraint("role_bindings_role_name_reference", ["role_name"], "roles", ["name"])
      .addForeignKeyConstraint("role_bindings_account_id_reference", ["account_id"], "accounts", ["id"], (key) =>
        key.onDelete("cascade"),
      )
      .addForeignKeyConstraint("role_bindings_space_id_reference", ["space_id"], "spaces", ["id"], (key) =>
        key.onDelete("cascade"),
      ),
  );
  await createIndex(database, "role_bindings_account", "role_bindings", ["account_id"]);

  await createTable(database, "revoked_tokens", (table) =>
    table
      .addColumn("token_id", ID, (column) => column.primaryKey())
      .addColumn("expires_at", TIME, (column) => column.notNull()),
  );

  await createTable(database, "agents", (table) =>
    table
      .addColumn("id", ID, (column) => column.primaryKey())
      .addColumn("space_id", ID, (column) => column.notNull())
      .addColumn("name", NAME, (column) => column.notNull())
      .addColumn("description", TEXT, (column) => column.notNull())
      .addColumn("purpose", TEXT, (column) => column.notNull())
      .addColumn("source_repo", TEXT, (column) => column.notNull())
      .addColumn("source_branch", "varchar(255)")
      .addColumn("source_path", TEXT)
      .addColumn("stopped", "integer", (column) => column.notNull())
      .addColumn("created_at", TIME, (column) => column.notNull())
      .addColumn("updated_at", TIME, (column) => column.notNull())
      .addColumn("created_by", NAME, (column) => column.notNull())
      .addUniqueConstraint("agents_name", ["space_id", "name"])
      .addForeignKeyConstraint("agents_space_id_reference", ["space_id"], "spaces", ["id"], (key) =>
        key.onDelete("cascade"),
      ),
  );
  await createIndex(database, "agents_created", "agents", ["space_id", "created_at", "id"]);

  await createTable(database, "artifacts", (table) =>
    table
      .addColumn("artifact_key", "varchar(64)", (column) => column.primaryKey())
      .addColumn("manifest", TEXT, (column) => column.notNull())
      .addColumn("created_at", TIME, (column) => column.notNull()),
  );

  await createTable(database, "builds", (table) =>
    table
      .addColumn("id", ID, (column) => column.primaryKey())
      .addColumn("space_id", ID, (column) => column.notNull())
      .addColumn("status", "varchar(16)", (column) => column.notNull())
      .addColumn("image_tag", "varchar(255)")
      .addColumn("agents", TEXT, (column) => column.notNull())
      .addColumn("force_rebuild", "integer", (column) => column.notNull())
      .addColumn("not_before", TIME, (column) => column.notNull())
      .addColumn("cancel_requested", "integer", (column) => column.notNull())
      .addColumn("created_at", TIME, (column) => column.notNull())
      .addColumn("started_at", TIME)
      .addColumn("completed_at", TIME)
      .addColumn("error", TEXT)
      .addForeignKeyConstraint("builds_space_id_reference", ["space_id"], "spaces", ["id"], (key) =>
        key.onDelete("cascade"),
      ),
  );
  await createIndex(database, "builds_created", "builds", ["space_id", "created_at", "id"]);
  await createIndex(database, "builds_status", "builds", ["status", "space_id", "created_at"]);

  await createTable(database, "build_logs", (table) =>
    table
      .addColumn("build_id", ID, (column) => column.notNull())
      .addColumn("seq", COUNTER, (column) => column.notNull())
      .addColumn("created_at", TIME, (column) => column.notNull())
      .addColumn("line", TEXT, (column) => column.notNull())
      .addPrimaryKeyConstraint("build_logs_key", ["build_id", "seq"])
      .addForeignKeyConstraint("build_logs_build_id_reference", ["build_id"], "builds", ["id"], (key) =>
        key.onDelete("cascade"),
      ),
  );

  await createTable(database, "sessions", (table) =>
    table
      .addColumn("id", ID, (column) => column.primaryKey())
      .addColumn("space_id", ID, (column) => column.notNull())
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
      .addColumn("limits", TEXT, (column) => column.notNull())
      .addColumn("network", TEXT, (column) => column.notNull())
      .addColumn("metadata", TEXT, (column) => column.notNull())
      .addColumn("created_at", TIME, (column) => column.notNull())
      .addColumn("started_at", TIME)
      .addColumn("last_activity_at", TIME, (column) => column.notNull())
      .addColumn("paused_at", TIME)
      .addColumn("terminated_at", TIME)
      .addColumn("termination_reason", TEXT)
      .addColumn("error", TEXT)
      .addColumn("last_event_id", COUNTER, (column) => column.notNull())
      .addColumn("last_seq", COUNTER, (column) => column.notNull())
      .addForeignKeyConstraint("sessions_space_id_reference", ["space_id"], "spaces", ["id"]),
  );
  await createIndex(database, "sessions_created", "sessions", ["created_at", "id"]);
  await createIndex(database, "sessions_space", "sessions", ["space_id", "created_at", "id"]);
  await createIndex(database, "sessions_desired", "sessions", ["desired"]);
  await createIndex(database, "sessions_state", "sessions", ["state", "created_at", "id"]);

  await createTable(database, "messages", (table) =>
    table
      .addColumn("id", ID, (column) => column.primaryKey())
      .addColumn("session_id", ID, (column) => column.notNull())
      .addColumn("seq", COUNTER, (column) => column.notNull())
      .addColumn("role", "varchar(16)", (column) => column.notNull())
      .addColumn("agent", NAME)
      .addColumn("in_reply_to", ID)
      .addColumn("content", TEXT, (column) => column.notNull())
      .addColumn("metadata", TEXT, (column) => column.notNull())
      .addColumn("status", "varchar(16)", (column) => column.notNull())
      .addColumn("error", TEXT)
      .addColumn("cancel_requested", "integer", (column) => column.notNull())
      .addColumn("created_at", TIME, (column) => column.notNull())
      .addUniqueConstraint("messages_seq", ["session_id", "seq"])
      .addForeignKeyConstraint("messages_session_id_reference", ["session_id"], "sessions", ["id"]),
  );
  await createIndex(database, "messages_reply", "messages", ["in_reply_to"]);
  await createIndex(database, "messages_status", "messages", ["status", "session_id", "seq"]);

  await createTable(
    database,
    "events",
    (table) =>
      table
        .addColumn("session_id", ID, (column) => column.notNull())
        .addColumn("id", COUNTER, (column) => column.notNull())
        .addColumn("type", "varchar(32)", (column) => column.notNull())
        .addColumn("created_at", TIME, (column) => column.notNull())
        .addColumn("data", LONG_TEXT, (column) => column.notNull())
        .addPrimaryKeyConstraint("events_key", ["session_id", "id"]),
    { clustered: true },
  );
}
