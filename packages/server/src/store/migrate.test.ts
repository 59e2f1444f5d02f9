import { spawn } from "node:child_process";
import { once } from "node:events";
import { Kysely, MysqlDialect, SqliteDialect, sql } from "kysely";
import { expect, it } from "vitest";
import { describeDatabases } from "../../../../test/support/databases.ts";
import type { DatabaseAddress } from "../config.ts";
import { findAccount } from "./accounts.ts";
import { findNewestArtifact, listArtifactKeys } from "./artifacts.ts";
import { listEvents } from "./events.ts";
import { listMessages } from "./messages.ts";
import { MIGRATIONS, migrate } from "./migrate.ts";
import { parseMysqlAddress } from "./mysql-address.ts";
import { MysqlPool } from "./mysql-pool.ts";
import type { Database } from "./rows.ts";
import { getSession } from "./sessions.ts";
import { openSqlite } from "./sqlite.ts";
import { openStore } from "./store.ts";

const STORE = new URL("./store.ts", import.meta.url).href;
const FIRST = "0001-initial";
const TIME = "2026-01-02T03:04:05.678Z";

function connect(address: DatabaseAddress): Kysely<Database> {
  if (address.kind === "sqlite") {
    return new Kysely({ dialect: new SqliteDialect({ database: openSqlite(address.path, { readOnly: false }) }) });
  }
  const { connection } = parseMysqlAddress(address.url);
  return new Kysely({
    dialect: new MysqlDialect({ pool: new MysqlPool({ connection, connections: 2, statementLimitMs: 0 }) }),
  });
}

async function using<T>(address: DatabaseAddress, work: (database: Kysely<Database>) => Promise<T>): Promise<T> {
  const database = connect(address);
  try {
    return await work(database);
  } finally {
    await database.destroy();
  }
}

function firstOf(migrations: typeof MIGRATIONS): typeof MIGRATIONS {
  const first = migrations[FIRST];
  if (first === undefined) throw new Error("no first migration");
  return { [FIRST]: first };
}

/** What the first version of the schema held, by its own columns. */
async function fillFirst(database: Kysely<Database>): Promise<void> {
  const insert = (table: string, row: Record<string, unknown>) =>
    sql`insert into ${sql.table(table)} (${sql.join(Object.keys(row).map((name) => sql.ref(name)))})
      values (${sql.join(Object.values(row))})`.execute(database);
  const times = { created_at: TIME, updated_at: TIME };
  await insert("settings", { name: "instance", value: "instance-1" });
  await insert("spaces", {
    id: "space-1",
    name: "default",
    description: "🦀",
    settings: "{}",
    active: 1,
    ...times,
    created_by: "system",
  });
  await insert("accounts", {
    id: "account-1",
    user: "admin",
    password_hash: "hash",
    description: "",
    active: 1,
    tokens_valid_from: TIME,
    ...times,
  });
  await insert("sessions", {
    id: "session-1",
    space_id: "space-1",
    created_by: "admin",
    owner_id: "account-1",
    state: "idle",
    tier: "active",
    desired: "running",
    attempted: 1,
    limits: JSON.stringify({ cpus: 1, memory_mb: 512, disk_mb: 512, pids: 64 }),
    network: JSON.stringify({ mode: "none" }),
    metadata: JSON.stringify({ kept: true }),
    created_at: TIME,
    last_activity_at: TIME,
    last_event_id: 1,
    last_seq: 1,
  });
  await insert("messages", {
    id: "message-1",
    session_id: "session-1",
    seq: 1,
    role: "user",
    content: "hello",
    metadata: "{}",
    status: "queued",
    cancel_requested: 0,
    created_at: TIME,
  });
  await insert("events", { session_id: "session-1", id: 1, type: "message.created", created_at: TIME, data: "{}" });
  const agent = {
    name: "one",
    runtime: "node",
    commit: "c",
    cached: false,
    status: "completed",
    seconds: 1,
    error: null,
  };
  const manifest = { runtime: "node", handler: "index.run", timeout_s: 600, env: {}, kind: "worker" };
  await insert("artifacts", { artifact_key: "key-1", manifest: JSON.stringify(manifest), created_at: TIME });
  await insert("builds", {
    id: "build-1",
    space_id: "space-1",
    status: "completed",
    image_tag: "raworc_space_default:build-1",
    agents: JSON.stringify([{ ...agent, artifact_key: "key-1", manifest: null }]),
    force_rebuild: 0,
    not_before: TIME,
    cancel_requested: 0,
    created_at: TIME,
  });
}

const applied = (address: DatabaseAddress) =>
  using(address, async (database) => {
    const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(database);
    return rows.map(({ name }) => name);
  });

describeDatabases("migrations", (databases) => {
  it("bring the first version's data along", async () => {
    const address = await databases.create();
    await using(address, async (database) => {
      await migrate(database, firstOf(MIGRATIONS));
      await fillFirst(database);
    });
    const store = await openStore(address);
    try {
      expect(await getSession(store.read, "session-1")).toMatchObject({
        space_name: "default",
        metadata: { kept: true },
        last_seq: 1,
      });
      expect(await listMessages(store.read, { sessionId: "session-1", limit: 5 })).toMatchObject([
        { content: "hello", status: "queued" },
      ]);
      expect(await listEvents(store.read, "session-1", 0, 5)).toMatchObject([{ id: 1, type: "message.created" }]);
      expect(await findAccount(store.read, "admin")).toMatchObject({ id: "account-1", active: true });
      expect(await listArtifactKeys(store.read, "space-1")).toEqual(["key-1"]);
      expect(await findNewestArtifact(store.read, "key-1")).toMatchObject({ key: "key-1", generation: 0 });
    } finally {
      await store.close();
    }
    expect(await applied(address)).toEqual(Object.keys(MIGRATIONS));
  });

  it("end as if nothing had been when they were cut short", async () => {
    const address = await databases.create();
    const cut = Object.fromEntries(
      Object.entries(MIGRATIONS).map(([name, migration]) => [
        name,
        {
          up: async (database: Kysely<unknown>) => {
            await migration.up(database);
            throw new Error("killed");
          },
        },
      ]),
    );
    // Each migration is cut once, after it has done everything but being recorded, and then run again.
    for (const name of Object.keys(MIGRATIONS)) {
      const until = Object.fromEntries(Object.entries(MIGRATIONS).filter(([other]) => other < name));
      await using(address, async (database) => {
        await migrate(database, until);
        await expect(migrate(database, { ...until, [name]: cut[name] } as typeof MIGRATIONS)).rejects.toThrow("killed");
      });
    }
    await (await openStore(address)).close();
    expect(await applied(address)).toEqual(Object.keys(MIGRATIONS));
  });

  it("refuse a database that a newer version has changed", async () => {
    const address = await databases.create();
    await using(address, async (database) => {
      await migrate(database);
      await sql`insert into kysely_migration (name, timestamp) values ('9999-future', ${TIME})`.execute(database);
    });
    await expect(openStore(address)).rejects.toThrow(/newer version of Raworc \(9999-future\)/);
  });

  it("run once when several servers start at the same time", async () => {
    const address = await databases.create();
    const script = `
      const { openStore } = await import(${JSON.stringify(STORE)});
      const store = await openStore(${JSON.stringify(address)});
      await store.check(5000);
      await store.close();
    `;
    const exits = Array.from({ length: 4 }, async () => {
      const child = spawn(process.execPath, ["--input-type=module", "--eval", script], { stdio: "pipe" });
      let output = "";
      child.stderr.on("data", (chunk: Buffer) => {
        output += chunk.toString();
      });
      const [code] = await once(child, "exit");
      return `${code} ${output}`;
    });
    for (const exit of await Promise.all(exits)) expect(exit).toMatch(/^0 /);
    expect(await applied(address)).toEqual(Object.keys(MIGRATIONS));
  });
});
