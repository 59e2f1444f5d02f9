import { type Kysely, sql } from "kysely";
import { addColumn, COUNTER, createIndex, createTable, dropColumn, ID, NAME, TEXT, TIME } from "./schema.ts";

const HASH = "varchar(64)";
const KEY_ID = "varchar(16)";

export async function up(database: Kysely<unknown>): Promise<void> {
  // A number and no time: a token of a login that was under way when the password changed must be told from later ones.
  await addColumn(database, "accounts", "token_generation", sql`integer not null default 0`);
  await dropColumn(database, "accounts", "tokens_valid_from");
  await createIndex(database, "accounts_created", "accounts", ["created_at", "id"]);
  await createIndex(database, "roles_created", "roles", ["created_at", "name"]);
  await createIndex(database, "role_bindings_created", "role_bindings", ["created_at", "id"]);
  await createIndex(database, "role_bindings_role", "role_bindings", ["role_name"]);

  await createTable(database, "api_tokens", (table) =>
    table
      .addColumn("id", ID, (column) => column.primaryKey())
      .addColumn("account_id", ID, (column) => column.notNull())
      .addColumn("name", NAME, (column) => column.notNull())
      .addColumn("token_hash", HASH, (column) => column.notNull().unique())
      .addColumn("space_id", ID)
      .addColumn("role_name", NAME)
      .addColumn("created_at", TIME, (column) => column.notNull())
      .addColumn("expires_at", TIME)
      .addForeignKeyConstraint("api_tokens_account_id_reference", ["account_id"], "accounts", ["id"], (key) =>
        key.onDelete("cascade"),
      )
      .addForeignKeyConstraint("api_tokens_space_id_reference", ["space_id"], "spaces", ["id"], (key) =>
        key.onDelete("cascade"),
      )
      .addForeignKeyConstraint("api_tokens_role_name_reference", ["role_name"], "roles", ["name"]),
  );
  await createIndex(database, "api_tokens_created", "api_tokens", ["created_at", "id"]);
  await createIndex(database, "api_tokens_account", "api_tokens", ["account_id", "created_at", "id"]);

  await createTable(database, "secrets", (table) =>
    table
      .addColumn("id", ID, (column) => column.primaryKey())
      .addColumn("space_id", ID, (column) => column.notNull())
      .addColumn("key_name", NAME, (column) => column.notNull())
      .addColumn("key_id", KEY_ID, (column) => column.notNull())
      .addColumn("sealed", TEXT, (column) => column.notNull())
      .addColumn("description", TEXT, (column) => column.notNull())
      .addColumn("version", "integer", (column) => column.notNull())
      .addColumn("created_at", TIME, (column) => column.notNull())
      .addColumn("updated_at", TIME, (column) => column.notNull())
      .addColumn("created_by", NAME, (column) => column.notNull())
      .addUniqueConstraint("secrets_name", ["space_id", "key_name"])
      .addForeignKeyConstraint("secrets_space_id_reference", ["space_id"], "spaces", ["id"], (key) =>
        key.onDelete("cascade"),
      ),
  );
  await createIndex(database, "secrets_created", "secrets", ["space_id", "created_at", "id"]);
  await createIndex(database, "secrets_key", "secrets", ["key_id", "id"]);

  await createTable(database, "secret_versions", (table) =>
    table
      .addColumn("space_id", ID, (column) => column.primaryKey())
      .addColumn("version", COUNTER, (column) => column.notNull())
      .addForeignKeyConstraint("secret_versions_space_id_reference", ["space_id"], "spaces", ["id"], (key) =>
        key.onDelete("cascade"),
      ),
  );

  await createTable(database, "wrapped_keys", (table) =>
    table
      .addColumn("key_id", KEY_ID, (column) => column.notNull())
      .addColumn("wrapped_by", KEY_ID, (column) => column.notNull())
      .addColumn("sealed", "varchar(255)", (column) => column.notNull())
      .addColumn("created_at", TIME, (column) => column.notNull())
      .addPrimaryKeyConstraint("wrapped_keys_key", ["key_id", "wrapped_by"]),
  );

  // No references: what is told of accounts and spaces stays when they are gone.
  await createTable(database, "audit_events", (table) =>
    table
      .addColumn("seq", COUNTER, (column) => column.primaryKey())
      .addColumn("id", ID, (column) => column.notNull())
      .addColumn("created_at", TIME, (column) => column.notNull())
      .addColumn("principal", NAME)
      .addColumn("principal_id", ID)
      .addColumn("action", "varchar(64)", (column) => column.notNull())
      .addColumn("resource", "varchar(64)", (column) => column.notNull())
      .addColumn("name", "varchar(255)")
      .addColumn("space", NAME)
      .addColumn("space_id", ID)
      .addColumn("outcome", "varchar(16)", (column) => column.notNull())
      .addColumn("request_id", NAME)
      .addColumn("address", NAME)
      .addColumn("details", TEXT, (column) => column.notNull())
      .addColumn("prev_hash", HASH, (column) => column.notNull())
      .addColumn("hash", HASH, (column) => column.notNull()),
  );
  await createIndex(database, "audit_events_space", "audit_events", ["space_id", "seq"]);
  await createIndex(database, "audit_events_principal", "audit_events", ["principal", "seq"]);
  await createIndex(database, "audit_events_created", "audit_events", ["created_at"]);

  await createTable(database, "audit_head", (table) =>
    table
      .addColumn("id", "integer", (column) => column.primaryKey())
      .addColumn("seq", COUNTER, (column) => column.notNull())
      .addColumn("hash", HASH, (column) => column.notNull())
      .addColumn("key_id", KEY_ID, (column) => column.notNull())
      .addColumn("seal", HASH, (column) => column.notNull()),
  );
  const heads = await sql`select 1 from audit_head`.execute(database);
  if (heads.rows.length === 0) {
    await sql`insert into audit_head (id, seq, hash, key_id, seal) values (1, 0, '', '', '')`.execute(database);
  }
  for (const name of ["access_version", "encryption_key"]) {
    const settings = await sql`select 1 from settings where name = ${name}`.execute(database);
    if (settings.rows.length === 0)
      await sql`insert into settings (name, value) values (${name}, '')`.execute(database);
  }
}
