import { readdir } from "node:fs/promises";
import { type CompiledQuery, Kysely, MysqlDialect, SqliteDialect, sql } from "kysely";
import { expect, it } from "vitest";
import { describeDatabases } from "../../../../test/support/databases.ts";
import type { DatabaseAddress } from "../config.ts";
import type { Scope } from "../domain/access-scope.ts";
import { listAccounts } from "./accounts.ts";
import { listAgents, listBuildableAgents } from "./agents.ts";
import { listArtifactKeys } from "./artifacts.ts";
import { listAuditEvents } from "./audit.ts";
import { listBuildLog } from "./build-logs.ts";
import {
  listBuilds,
  listBuildsInUse,
  listBuildsWithImage,
  listSpacesToBuild,
  listSpacesWithManyImages,
} from "./builds.ts";
import { encodeCursor, encodeSeqCursor } from "./cursors.ts";
import { dialectOf } from "./dialect.ts";
import { listWrappedKeys } from "./encryption-keys.ts";
import { listErrandSubjects, listErrands } from "./errands.ts";
import { listEvents } from "./events.ts";
import { insertRows } from "./insert-rows.ts";
import { listFreeLeases } from "./leases.ts";
import {
  findNextMessage,
  findRunningMessage,
  listMessages,
  listSessionsWithWork,
  listUnfinishedMessages,
} from "./messages.ts";
import { migrate } from "./migrate.ts";
import { parseMysqlAddress } from "./mysql-address.ts";
import { MysqlPool } from "./mysql-pool.ts";
import { listPoolComputers } from "./pool-computers.ts";
import { listRemovals, listSpacesWithRemovals } from "./removals.ts";
import { listAccountBindings, listRoleBindings } from "./role-bindings.ts";
import { listRoles } from "./roles.ts";
import type { Database, SessionRow } from "./rows.ts";
import { listSecrets, listSecretsNotSealedWith, listSecretsOfSpace } from "./secrets.ts";
import { listServers } from "./servers.ts";
import { listLiveSessionIds, listLiveSessionIdsOfSpace, listSessions } from "./sessions.ts";
import { listSpaceIds, listSpaceNames, listSpaces } from "./spaces.ts";
import { openSqlite } from "./sqlite.ts";
import type { Reader } from "./store.ts";
import { listApiTokens } from "./tokens.ts";

const SPACES = 40;
const SESSIONS = 6000;
const spaceId = "space-1";
const everything: Scope = [{}];
const own: Scope = [{ spaceId, ownerId: "owner-1" }];
const cursor = encodeCursor({ createdAt: time(1500), id: id("session", 1500) });
const from = { limit: 20, scope: everything };

/** Of each list what its callers ask for, by the name of its function. */
const LISTS: Readonly<Record<string, readonly ((reader: Reader) => Promise<unknown>)[]>> = {
  listAccounts: [(reader) => listAccounts(reader, from), (reader) => listAccounts(reader, { ...from, cursor })],
  listAgents: [
    (reader) => listAgents(reader, { ...from, spaceId }),
    (reader) => listAgents(reader, { ...from, spaceId, cursor }),
  ],
  listBuildableAgents: [(reader) => listBuildableAgents(reader, spaceId)],
  listAuditEvents: [
    (reader) => listAuditEvents(reader, from),
    (reader) => listAuditEvents(reader, { ...from, cursor: encodeSeqCursor(1500) }),
    (reader) => listAuditEvents(reader, { ...from, space: { id: spaceId } }),
    (reader) => listAuditEvents(reader, { ...from, principal: "admin", cursor: encodeSeqCursor(1500) }),
  ],
  listArtifactKeys: [(reader) => listArtifactKeys(reader, spaceId)],
  listBuildsInUse: [(reader) => listBuildsInUse(reader, spaceId, [id("build", 1), id("build", 2)])],
  listBuildsWithImage: [(reader) => listBuildsWithImage(reader, spaceId)],
  listRemovals: [(reader) => listRemovals(reader, spaceId)],
  listSpacesWithManyImages: [(reader) => listSpacesWithManyImages(reader, 5)],
  listSpacesWithRemovals: [(reader) => listSpacesWithRemovals(reader)],
  listBuildLog: [(reader) => listBuildLog(reader, id("build", 1), 10, 100)],
  listBuilds: [
    (reader) => listBuilds(reader, { spaceId, limit: 20 }),
    (reader) => listBuilds(reader, { spaceId, limit: 20, cursor }),
    (reader) => listBuilds(reader, { spaceId, limit: 20, cursor, status: "completed" }),
  ],
  listSpacesToBuild: [(reader) => listSpacesToBuild(reader)],
  listWrappedKeys: [(reader) => listWrappedKeys(reader, "key")],
  listErrands: [(reader) => listErrands(reader, id("session", 1))],
  listErrandSubjects: [(reader) => listErrandSubjects(reader)],
  listEvents: [(reader) => listEvents(reader, id("session", 1), 10, 100)],
  listFreeLeases: [(reader) => listFreeLeases(reader)],
  listMessages: [
    (reader) => listMessages(reader, { sessionId: id("session", 1), limit: 10 }),
    (reader) => listMessages(reader, { sessionId: id("session", 1), limit: 10, before: 500 }),
    (reader) => listMessages(reader, { sessionId: id("session", 1), limit: 10, after: 500 }),
  ],
  listSessionsWithWork: [(reader) => listSessionsWithWork(reader)],
  listUnfinishedMessages: [(reader) => listUnfinishedMessages(reader, id("session", 1))],
  listPoolComputers: [(reader) => listPoolComputers(reader, spaceId)],
  listAccountBindings: [(reader) => listAccountBindings(reader, id("account", 1))],
  listRoleBindings: [
    (reader) => listRoleBindings(reader, from),
    (reader) => listRoleBindings(reader, { ...from, cursor }),
    (reader) => listRoleBindings(reader, { ...from, accountId: id("account", 1) }),
  ],
  listRoles: [(reader) => listRoles(reader, from), (reader) => listRoles(reader, { ...from, cursor })],
  listSecrets: [
    (reader) => listSecrets(reader, { spaceId, limit: 20, scopes: [everything] }),
    (reader) => listSecrets(reader, { spaceId, limit: 20, scopes: [everything], cursor }),
  ],
  listSecretsNotSealedWith: [(reader) => listSecretsNotSealedWith(reader, "key", "", 100)],
  listSecretsOfSpace: [(reader) => listSecretsOfSpace(reader, spaceId)],
  listServers: [(reader) => listServers(reader)],
  listLiveSessionIds: [(reader) => listLiveSessionIds(reader)],
  listLiveSessionIdsOfSpace: [(reader) => listLiveSessionIdsOfSpace(reader, spaceId)],
  listSessions: [true, false].flatMap((deleted) => [
    (reader: Reader) => listSessions(reader, { ...from, deleted }),
    (reader: Reader) => listSessions(reader, { ...from, deleted, cursor }),
    (reader: Reader) => listSessions(reader, { ...from, deleted, spaceId, cursor }),
    (reader: Reader) => listSessions(reader, { ...from, deleted, scope: own, cursor }),
    (reader: Reader) => listSessions(reader, { ...from, deleted, createdBy: "admin", cursor }),
    (reader: Reader) => listSessions(reader, { ...from, deleted, state: "idle", cursor }),
    (reader: Reader) => listSessions(reader, { ...from, deleted, labels: [{ key: "team", value: "blue" }], cursor }),
  ]),
  listSpaceIds: [(reader) => listSpaceIds(reader)],
  listSpaceNames: [(reader) => listSpaceNames(reader, ["space-1", "space-2"])],
  listSpaces: [(reader) => listSpaces(reader, from), (reader) => listSpaces(reader, { ...from, cursor })],
  listApiTokens: [
    (reader) => listApiTokens(reader, { ...from, within: {} }),
    (reader) => listApiTokens(reader, { ...from, within: {}, accountId: id("account", 1), cursor }),
  ],
};

/** Lists that give all there is of something small. */
const WHOLE: ReadonlySet<string> = new Set([
  "listErrandSubjects",
  "listSpaceIds",
  "listServers",
  "listSpacesWithRemovals",
  "listFreeLeases",
  "listSpaceNames",
]);
/** Lists of a few rows that an index finds, sorted afterwards. */
const SORTED: ReadonlySet<string> = new Set([
  "listSpacesToBuild",
  "listBuildsInUse",
  "listRemovals",
  "listSpacesWithManyImages",
  "listSessionsWithWork",
  "listUnfinishedMessages",
  "listAccountBindings",
  "listSecretsNotSealedWith",
  "listSecretsOfSpace",
  "listBuildableAgents",
  "listPoolComputers",
]);

function time(second: number): string {
  return new Date(Date.UTC(2026, 0, 1) + second * 1000).toISOString();
}

function id(noun: string, number: number): string {
  return `${noun}-${String(number).padStart(6, "0")}`;
}

function connect(address: DatabaseAddress, log: (query: CompiledQuery) => void): Kysely<Database> {
  const options = { log: ({ query }: { query: CompiledQuery }) => log(query) };
  if (address.kind === "sqlite") {
    const database = openSqlite(address.path, { readOnly: false });
    return new Kysely({ dialect: new SqliteDialect({ database }), ...options });
  }
  const { connection } = parseMysqlAddress(address.url);
  const pool = new MysqlPool({ connection, connections: 2, statementLimitMs: 0 });
  return new Kysely({ dialect: new MysqlDialect({ pool }), ...options });
}

const range = (count: number) => Array.from({ length: count }, (_, index) => index);

/** Enough rows of every kind that a database has reason to think about how it reads them. */
async function fill(database: Kysely<Database>): Promise<void> {
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

async function plan(database: Kysely<Database>, query: CompiledQuery): Promise<string> {
  const mysql = dialectOf(database) === "mysql";
  const explain = `${mysql ? "explain" : "explain query plan"} ${query.sql}`;
  const node = sql.raw(explain).toOperationNode() as never;
  const { rows } = await database.executeQuery<Record<string, unknown>>({ ...query, sql: explain, query: node });
  return rows.map((row) => (mysql ? JSON.stringify(row) : String(row["detail"]))).join("\n");
}

/** Where a query reads a table from end to end, and where it sorts what it has read. */
async function faults(database: Kysely<Database>, query: CompiledQuery): Promise<{ scans: string[]; sorts: string[] }> {
  const mysql = dialectOf(database) === "mysql";
  const lines = (await plan(database, query)).split("\n");
  const scan = mysql ? /"type":"ALL"/ : /^SCAN (?!CONSTANT|\(|.*USING )/;
  const sort = mysql ? /filesort/ : /TEMP B-TREE FOR (LAST TERM OF )?ORDER BY/;
  return { scans: lines.filter((line) => scan.test(line)), sorts: lines.filter((line) => sort.test(line)) };
}

describeDatabases("query plans", (databases) => {
  it("are known of every list there is", async () => {
    const files = (await readdir(new URL(".", import.meta.url))).filter((name) => /^[a-z-]+\.ts$/.test(name));
    const names = new Set<string>();
    for (const file of files) {
      for (const name of Object.keys(await import(new URL(file, import.meta.url).href)))
        if (/^list[A-Z]/.test(name)) names.add(name);
    }
    expect(Object.keys(LISTS).toSorted()).toEqual([...names].toSorted());
  });

  it("read by an index, in its order", async () => {
    let seen: CompiledQuery[] = [];
    const database = connect(await databases.create(), (query) => seen.push(query));
    try {
      await migrate(database);
      await fill(database);
      // MySQL counts by itself, some time later; SQLite has no counts unless it is asked, as here.
      if (databases.kind === "mariadb") {
        const tables = await database.introspection.getTables();
        await sql`analyze table ${sql.join(tables.map(({ name }) => sql.table(name)))}`.execute(database);
      }
      const found: string[] = [];
      for (const [name, calls] of Object.entries(LISTS)) {
        if (WHOLE.has(name)) continue;
        for (const call of calls) {
          seen = [];
          await call(database);
          for (const query of [...seen]) {
            const { scans, sorts } = await faults(database, query);
            const slow = SORTED.has(name) ? scans : [...scans, ...sorts];
            found.push(...slow.map((line) => `${name}: ${line}\n  ${query.sql}`));
          }
        }
      }
      expect(found.join("\n")).toBe("");
    } finally {
      await database.destroy();
    }
  });

  it("look for a message to handle among the unfinished ones alone", async () => {
    const seen: CompiledQuery[] = [];
    const database = connect(await databases.create(), (query) => seen.push(query));
    try {
      await migrate(database);
      for (const find of [findNextMessage, findRunningMessage, listUnfinishedMessages]) {
        seen.length = 0;
        await find(database, id("session", 1));
        for (const query of [...seen]) expect(await plan(database, query)).toMatch(/messages_(unfinished|status)/);
      }
    } finally {
      await database.destroy();
    }
  });
});
