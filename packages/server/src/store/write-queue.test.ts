import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Kysely, SqliteDialect } from "kysely";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Database } from "./rows.ts";
import { ensureInstance } from "./settings.ts";
import { openSqlite } from "./sqlite.ts";
import { openStore, type Store } from "./store.ts";
import { WriteQueue } from "./write-queue.ts";

let directory: string;
let path: string;
let store: Store;
let other: DatabaseSync;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "raworc-queue-"));
  path = join(directory, "raworc.db");
  store = await openStore({ kind: "sqlite", path });
  // As another process has it.
  other = new DatabaseSync(path);
});

afterEach(async () => {
  other.close();
  await store.close();
  await rm(directory, { recursive: true });
});

it("waits for another process that writes, and lets this one go on meanwhile", async () => {
  other.exec("begin immediate");
  const writing = store.write(ensureInstance);
  setTimeout(() => other.exec("commit"), 300);
  expect(await writing).toMatch(/^[0-9a-f-]{36}$/);
});

it("refuses what waits when another process keeps the database, and goes on when it is free", async () => {
  const dialect = new SqliteDialect({ database: openSqlite(path, { readOnly: false, busyTimeoutMs: 0 }) });
  const connection = new Kysely<Database>({ dialect });
  const queue = new WriteQueue(connection, 50);
  other.exec("begin immediate");
  const writes = await Promise.allSettled([queue.write(ensureInstance), queue.write(ensureInstance)]);
  for (const write of writes) expect(write).toMatchObject({ status: "rejected", reason: { code: "not_ready" } });
  other.exec("rollback");
  expect(await queue.write(ensureInstance)).toMatch(/^[0-9a-f-]{36}$/);
  await connection.destroy();
});

it("lets the writes of calls that come in one turn of the event loop share a commit", async () => {
  const statements: string[] = [];
  const dialect = new SqliteDialect({ database: openSqlite(path, { readOnly: false }) });
  const log = ({ query }: { query: { sql: string } }) => void statements.push(query.sql);
  const connection = new Kysely<Database>({ dialect, log });
  const queue = new WriteQueue(connection);
  // Two callbacks of one phase of the loop, as of two sockets: all promises settle in between.
  const inTurn = () => new Promise<string>((resolve) => setImmediate(() => resolve(queue.write(ensureInstance))));
  const [one, other] = await Promise.all([inTurn(), inTurn()]);
  expect(one).toBe(other);
  expect(statements.filter((sql) => sql === "commit")).toHaveLength(1);
  await connection.destroy();
});
