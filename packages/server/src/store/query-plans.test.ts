import { readdir } from "node:fs/promises";
import { type CompiledQuery, Kysely, MysqlDialect, SqliteDialect, sql } from "kysely";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeDatabases } from "../../../../test/support/databases.ts";
import { fill, id, time } from "../../../../test/support/filled-database.ts";
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
import type { Database } from "./rows.ts";
import { listSecrets, listSecretsNotSealedWith, listSecretsOfSpace } from "./secrets.ts";
import { listServers } from "./servers.ts";
import { listLiveSessionIds, listLiveSessionIdsOfSpace, listSessions } from "./sessions.ts";
import { listSpaceIds, listSpaceNames, listSpaces } from "./spaces.ts";
import { openSqlite } from "./sqlite.ts";
import type { Reader } from "./store.ts";
import { listApiTokens } from "./tokens.ts";

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

async function plan(database: Kysely<Database>, query: CompiledQuery): Promise<string> {
  const mysql = dialectOf(database) === "mysql";
  const explain = `${mysql ? "explain format = traditional" : "explain query plan"} ${query.sql}`;
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
  let database: Kysely<Database>;
  let seen: CompiledQuery[] = [];

  beforeAll(async () => {
    database = connect(await databases.create(), (query) => seen.push(query));
    await migrate(database);
    await fill(database);
    // MySQL counts by itself, some time later; SQLite has no counts unless it is asked, as here.
    if (databases.kind === "mariadb") {
      const tables = await database.introspection.getTables();
      await sql`analyze table ${sql.join(tables.map(({ name }) => sql.table(name)))}`.execute(database);
    }
  });
  afterAll(() => database?.destroy());

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
  });

  it("look for a message to handle among the unfinished ones alone", async () => {
    for (const find of [findNextMessage, findRunningMessage, listUnfinishedMessages]) {
      seen = [];
      await find(database, id("session", 1));
      for (const query of [...seen]) expect(await plan(database, query)).toMatch(/messages_(unfinished|status)/);
    }
  });
});
