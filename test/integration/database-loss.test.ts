import { once } from "node:events";
import { createServer } from "node:net";
import { isRaworcError } from "@raworc/contract";
import { sql } from "kysely";
import { createConnection } from "mysql2/promise";
import { pino } from "pino";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { KeyedLoop } from "../../packages/server/src/operator/keyed-loop.ts";
import { insertMessage, listMessages } from "../../packages/server/src/store/messages.ts";
import { insertSession } from "../../packages/server/src/store/sessions.ts";
import { ensureInstance } from "../../packages/server/src/store/settings.ts";
import { ensureDefaultSpace } from "../../packages/server/src/store/spaces.ts";
import { openStore, type Store, type Transaction } from "../../packages/server/src/store/store.ts";
import { databaseProduct } from "../support/database-products.ts";
import { DatabaseServer } from "../support/database-server.ts";
import { describeWith } from "../support/requirements.ts";

async function newSession(store: Store): Promise<string> {
  return store.write(async (transaction) => {
    const space = await ensureDefaultSpace(transaction);
    const limits = { cpus: 1, memory_mb: 512, disk_mb: 512, pids: 64 };
    const owner = { createdBy: "admin", ownerId: "owner", buildId: null, name: null };
    const session = { spaceId: space.id, ...owner, limits, network: { mode: "none" as const }, metadata: {} };
    return (await insertSession(transaction, session)).id;
  });
}

const message = (sessionId: string, content: string) => ({
  sessionId,
  role: "user" as const,
  agent: null,
  inReplyTo: null,
  content,
  metadata: {},
  status: "queued" as const,
});

describeWith(["mariadb"], "a database that is lost in the middle of work", () => {
  let server: DatabaseServer;
  let url: string;
  let store: Store;

  beforeAll(async () => {
    server = await DatabaseServer.start();
  });
  beforeEach(async () => {
    url = await server.database();
    store = await openStore({ kind: "mysql", url });
    return () => store.close();
  });
  afterAll(() => server?.destroy());

  it("keeps every acknowledged write, refuses meanwhile, and goes on by itself", async () => {
    const sessions = await Promise.all(Array.from({ length: 8 }, () => newSession(store)));
    const acknowledged = new Map<string, Set<string>>(sessions.map((id) => [id, new Set()]));
    const refusals: unknown[] = [];
    const refused = new Set<string>();
    let total = 0;
    let reached = (): void => undefined;
    const until = (condition: () => boolean) =>
      new Promise<void>((resolve) => {
        reached = () => condition() && resolve();
        reached();
      });
    const after = (count: number) => {
      const goal = total + count;
      return until(() => total >= goal);
    };
    let running = true;
    const writers = sessions.map(async (sessionId) => {
      for (let index = 0; running; index += 1) {
        try {
          const content = `message ${index}`;
          await store.write((transaction) => insertMessage(transaction, message(sessionId, content)));
          acknowledged.get(sessionId)?.add(content);
          total += 1;
          reached();
        } catch (error) {
          refusals.push(error);
          refused.add(sessionId);
          reached();
          await new Promise((resolve) => setTimeout(resolve, 25));
        }
      }
    });
    for (let round = 0; round < 2; round += 1) {
      await after(100);
      await server.kill();
      refused.clear();
      // What was under way is refused too.
      await until(() => refused.size === sessions.length);
      // Every kind of call is refused now, none waits for the database to come back.
      await expect(store.write(ensureInstance)).rejects.toMatchObject({ code: "not_ready", status: 503 });
      await expect(listMessages(store.read, { sessionId: "any", limit: 1 })).rejects.toMatchObject({
        code: "not_ready",
      });
      await expect(store.check(5000)).rejects.toMatchObject({ code: "not_ready" });
      await server.start();
    }
    await after(100);
    running = false;
    await Promise.all(writers);
    expect(refusals.length).toBeGreaterThan(0);
    expect(refusals.filter((error) => !isRaworcError(error, "not_ready"))).toEqual([]);
    for (const [sessionId, contents] of acknowledged) {
      const kept = await listMessages(store.read, { sessionId, limit: 100_000 });
      expect(kept.map(({ seq }) => seq)).toEqual(kept.map((_, index) => index + 1));
      const written = new Set(kept.map(({ content }) => content));
      expect([...contents].filter((content) => !written.has(content))).toEqual([]);
      // What got no answer may be there too, each at most once.
      expect(written.size).toBe(kept.length);
    }
  });

  it("lets the operator's loops go on when the database is back", async () => {
    const sessionId = await newSession(store);
    const done = new Promise<void>((resolve) => {
      let turns = 0;
      const loop = new KeyedLoop({
        name: "test",
        log: pino({ level: "silent" }),
        concurrency: 1,
        turn: async () => {
          turns += 1;
          await store.write((transaction) => insertMessage(transaction, message(sessionId, `turn ${turns}`)));
          resolve();
          return "done";
        },
      });
      void server.kill().then(() => {
        loop.wake(sessionId);
        return server.start();
      });
    });
    await done;
    expect(await listMessages(store.read, { sessionId, limit: 10 })).toHaveLength(1);
  });

  it("counts a database that says nothing as lost", async () => {
    server.pause();
    try {
      await expect(store.check(200)).rejects.toMatchObject({ code: "not_ready" });
    } finally {
      server.resume();
    }
    await store.check(20_000);
  });

  it("leaves nothing of a statement that was lost, which would keep the process alive", {
    timeout: 30_000,
  }, async () => {
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    const before = timers();
    let isUnderWay = (): void => undefined;
    const underWay = new Promise<void>((resolve) => {
      isUnderWay = resolve;
    });
    const lost = store.write(async (transaction) => {
      const statement = sql`select sleep(60)`.execute(transaction);
      isUnderWay();
      await statement;
    });
    const refused = expect(lost).rejects.toMatchObject({ code: "not_ready" });
    await underWay;
    await server.kill();
    await refused;
    await server.start();
    // Vitest has timers of its own that come and go.
    while (timers() > before) await new Promise((resolve) => setImmediate(resolve));
  });

  it("ends a transaction whose server hangs before others have waited too long for its locks", async () => {
    const row = { name: "contended", value: "first" };
    await store.write((transaction) => transaction.insertInto("settings").values(row).execute());
    const set = (transaction: Transaction, value: string) =>
      transaction.updateTable("settings").set({ value }).where("name", "=", row.name).execute();
    let isLocked = (): void => undefined;
    const locked = new Promise<void>((resolve) => {
      isLocked = resolve;
    });
    let goOn = (): void => undefined;
    const hanging = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const hung = store.write(async (transaction) => {
      await set(transaction, "hung");
      isLocked();
      await hanging;
      await set(transaction, "too late");
    });
    const refused = expect(hung).rejects.toMatchObject({ code: "not_ready" });
    await locked;
    const connection = await createConnection(url);
    try {
      // The store's own transactions give up after 30 s.
      await connection.query("set session innodb_lock_wait_timeout = 20");
      await connection.query("update settings set value = 'other' where name = ?", [row.name]);
      goOn();
      await refused;
      const [rows] = await connection.query("select value from settings where name = ?", [row.name]);
      expect(rows).toEqual([{ value: "other" }]);
    } finally {
      goOn();
      await connection.end();
    }
    await store.write((transaction) => set(transaction, "afterwards"));
  });
});

describeWith(["mariadb"], "a database that can't be used", () => {
  let server: DatabaseServer;

  beforeAll(async () => {
    server = await DatabaseServer.start(["--max-allowed-packet=16M", ...databaseProduct().withoutTls]);
  });
  afterAll(() => server?.destroy());

  const opening = async (change: (url: URL) => void): Promise<Store> => {
    const url = new URL(await server.database());
    change(url);
    return openStore({ kind: "mysql", url: url.href });
  };

  it("is refused with what to do", async () => {
    await expect(opening(() => undefined)).rejects.toThrow(/SET GLOBAL max_allowed_packet/);
    await server.execute("set global max_allowed_packet = 67108864");
    await (await opening(() => undefined)).close();
    await server.execute("create user someone@'%' identified by 'right'");
    const wrong = opening((url) => {
      url.username = "someone";
      url.password = "wr%40ng";
    });
    await expect(wrong).rejects.toThrow(/refuses the user someone/);
    await expect(wrong).rejects.not.toThrow(/wr.*ng/);
    await expect(
      opening((url) => {
        url.pathname = "/nothing";
      }),
    ).rejects.toThrow(/CREATE DATABASE `nothing`/);
    await expect(opening((url) => url.searchParams.set("ssl-mode", "REQUIRED"))).rejects.toThrow(/offers no TLS/);
    await expect(opening((url) => url.searchParams.set("ssl", "true"))).rejects.toThrow(/unknown option ssl/);
    await expect(opening((url) => url.searchParams.set("ssl-mode", "MAYBE"))).rejects.toThrow(/ssl-mode is none of/);
    await expect(opening((url) => url.searchParams.set("connections", "0"))).rejects.toThrow(/connections is no whole/);
    const silent = createServer().listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as { port: number };
    silent.close();
    await expect(
      opening((url) => {
        url.port = String(port);
      }),
    ).rejects.toThrow(/can't be reached \(ECONNREFUSED\)/);
  });

  it("is reached by its socket, and in clear where TLS is only preferred", async () => {
    const bySocket = await opening((url) => url.searchParams.set("socket", server.socket));
    await bySocket.check(5000);
    await bySocket.close();
    const preferred = await opening((url) => url.searchParams.set("ssl-mode", "PREFERRED"));
    await preferred.check(5000);
    await preferred.close();
  });
});
