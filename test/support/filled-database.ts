import type { Kysely } from "kysely";
import { insertRows } from "../../packages/server/src/store/insert-rows.ts";
import type { Database, SessionRow } from "../../packages/server/src/store/rows.ts";

const SPACES = 40;
const SESSIONS = 6000;

export function time(second: number): string {
  return new Date(Date.UTC(2026, 0, 1) + second * 1000).toISOString();
}

export function id(noun: string, number: number): string {
  return `${noun}-${String(number).padStart(6, "0")}`;
}

const range = (count: number) => Array.from({ length: count }, (_, index) => index);

/** Enough rows of every kind that a database has reason to think about how it reads them. */
export async function fill(database: Kysely<Database>): Promise<void> {
  const times = (index: number) => ({ created_at: time(index), updated_at: time(index) });
  const spaceOf = (index: number) => `space-${index % SPACES}`;
  await insertRows(
    database,
    "spaces",
    range(4000).map((index) => {
      const name = `space-${index}`;
      return { id: name, name, description: "", settings: "{}", active: 1, ...times(index), created_by: "admin" };
    }),
  );
  const account = { password_hash: "", description: "", active: 1, token_generation: 0 };
  await insertRows(
    database,
    "accounts",
    range(4000).map((index) => ({ id: id("account", index), user: `user-${index}`, ...account, ...times(index) })),
  );
  await insertRows(
    database,
    "roles",
    range(4000).map((index) => ({
      name: `role-${index}`,
      description: "",
      rules: "[]",
      built_in: 0,
      created_at: time(index),
    })),
  );
  await insertRows(
    database,
    "role_bindings",
    range(8000).map((index) => ({
      id: id("binding", index),
      role_name: `role-${index % 4000}`,
      account_id: id("account", index % 4000),
      space_id: spaceOf(index),
      created_at: time(index),
    })),
  );
  await insertRows(
    database,
    "api_tokens",
    range(8000).map((index) => ({
      id: id("token", index),
      account_id: id("account", index % 4000),
      name: "name",
      token_hash: `hash-${index}`,
      space_id: null,
      role_name: null,
      created_at: time(index),
      expires_at: null,
    })),
  );
  await insertRows(
    database,
    "secrets",
    range(8000).map((index) => ({
      id: id("secret", index),
      space_id: spaceOf(index),
      key_name: `KEY_${index}`,
      key_id: "key",
      sealed: "",
      description: "",
      version: 1,
      ...times(index),
      created_by: "admin",
    })),
  );
  await insertRows(
    database,
    "agents",
    range(8000).map((index) => ({
      id: id("agent", index),
      space_id: spaceOf(index),
      name: `agent-${index}`,
      description: "",
      purpose: "",
      source_repo: "",
      source_branch: null,
      source_path: null,
      stopped: 0,
      ...times(index),
      created_by: "admin",
    })),
  );
  await insertRows(
    database,
    "builds",
    range(8000).map((index) => ({
      id: id("build", index),
      space_id: spaceOf(index),
      status: index % 500 === 0 ? ("pending" as const) : ("completed" as const),
      image_tag: null,
      agents: "[]",
      force_rebuild: 0,
      not_before: time(index),
      cancel_requested: 0,
      created_at: time(index),
      started_at: null,
      completed_at: null,
      error: null,
    })),
  );
  await insertRows(
    database,
    "build_logs",
    range(6000).map((index) => ({
      build_id: id("build", index % 60),
      seq: index,
      created_at: time(index),
      line: "line",
    })),
  );
  await insertRows(
    database,
    "pool_computers",
    range(500).map((index) => ({
      id: id("computer", index),
      space_id: spaceOf(index),
      build_id: null,
      shape: "",
      created_at: time(index),
    })),
  );
  await insertRows(database, "sessions", range(SESSIONS).map(session));
  await insertRows(
    database,
    "messages",
    range(6000).map((index) => ({
      id: id("message", index),
      session_id: id("session", index % 60),
      seq: index,
      role: "user" as const,
      agent: null,
      in_reply_to: null,
      content: "hello",
      metadata: "{}",
      status: index % 1000 === 0 ? ("queued" as const) : ("done" as const),
      error: null,
      cancel_requested: 0,
      created_at: time(index),
    })),
  );
  await insertRows(
    database,
    "events",
    range(6000).map((index) => ({
      session_id: id("session", index % 60),
      id: index,
      type: "message.delta",
      created_at: time(index),
      data: "{}",
    })),
  );
  await insertRows(
    database,
    "audit_events",
    range(6000).map((index) => ({
      seq: index,
      id: id("audit", index),
      created_at: time(index),
      principal: `user-${index % 50}`,
      principal_id: null,
      action: "create",
      resource: "sessions",
      name: null,
      space: null,
      space_id: spaceOf(index),
      outcome: "allowed" as const,
      request_id: null,
      address: null,
      details: "{}",
      prev_hash: "",
      hash: "",
    })),
  );
}

function session(index: number): SessionRow {
  // Most are deleted: their records stay, and must not be read to find the others.
  const deleted = index % 50 !== 0;
  return {
    id: id("session", index),
    space_id: `space-${index % SPACES}`,
    name: null,
    created_by: `user-${index % 50}`,
    owner_id: `owner-${index % 50}`,
    state: deleted ? "deleted" : "idle",
    tier: "active",
    desired: deleted ? "removed" : "running",
    build_id: null,
    attempted: 1,
    container_id: null,
    persistent_volume_id: null,
    parent_session_id: null,
    limits: '{"cpus":1,"memory_mb":512,"disk_mb":512,"pids":64}',
    network: '{"mode":"none"}',
    metadata: "{}",
    created_at: time(index),
    started_at: null,
    last_activity_at: time(index),
    paused_at: null,
    pause_requested_at: null,
    fork_pending: null,
    terminated_at: deleted ? time(index) : null,
    termination_reason: null,
    error: null,
    last_event_id: 0,
    last_seq: 0,
  };
}
