import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { afterEach, beforeEach, expect, it } from "vitest";
import { describeDatabases } from "../../../../test/support/databases.ts";
import { claimLease } from "../store/leases.ts";
import { deleteServer, listServers } from "../store/servers.ts";
import { insertSession } from "../store/sessions.ts";
import { ensureDefaultSpace } from "../store/spaces.ts";
import { openStore, type Store } from "../store/store.ts";
import { LeaseLost, Leases } from "./leases.ts";
import { Servers } from "./servers.ts";
import { SessionLog } from "./session-log.ts";
import { Wakeups } from "./wakeups.ts";

describeDatabases("servers that share a store", (databases) => {
  let directory: string;
  let store: Store;
  let closing: (() => Promise<void>)[];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "raworc-servers-"));
    store = await openStore(await databases.prepare());
    closing = [];
  });

  afterEach(async () => {
    for (const close of closing) await close();
    await store.close();
    await rm(directory, { recursive: true });
  });

  async function start(times: { intervalMs?: number; goneAfterMs?: number } = {}) {
    const wakeups = new Wakeups();
    const log = pino({ level: "silent" });
    const oneMachine = databases.kind === "sqlite";
    const servers = await Servers.start({ store, wakeups, log, directory, oneMachine, ...times });
    closing.push(() => servers.close());
    const leases = new Leases(store, servers);
    const free: string[] = [];
    const lost: string[] = [];
    const watchers = new Set<() => void>();
    const note = (list: string[]) => (key: string) => {
      list.push(key);
      for (const watcher of watchers) watcher();
    };
    leases.share("session", { onFree: note(free), onLost: note(lost) });
    /** Resolves when the condition holds, which only the listeners change. */
    const until = (condition: () => boolean) =>
      new Promise<void>((resolve) => {
        const check = () => condition() && resolve();
        watchers.add(check);
        check();
      });
    return { servers, wakeups, leases, free, lost, until };
  }

  /** Servers learn of each other by greetings: calls are made until one arrives. */
  const hear = (from: Wakeups, to: Wakeups) =>
    new Promise<void>((resolve) => {
      const stop = to.on("build", "some key", (payload) => {
        expect(payload).toBeUndefined();
        clearInterval(calls);
        stop();
        resolve();
      });
      const calls = setInterval(() => from.emit("build", "some key", undefined), 5);
    });

  it("wakes those who wait at another server, whoever came first", async () => {
    const one = await start();
    const two = await start();
    await hear(one.wakeups, two.wakeups);
    await hear(two.wakeups, one.wakeups);
  });

  it("brings a stream at one server what another one writes, gap-free and once", async () => {
    const one = await start();
    const two = await start();
    const writing = new SessionLog(store, one.wakeups);
    const following = new SessionLog(store, two.wakeups);
    const sessionId = await store.write(async (transaction) => {
      const space = await ensureDefaultSpace(transaction);
      const limits = { cpus: 1, memory_mb: 512, disk_mb: 512, pids: 64 };
      const owner = { createdBy: "admin", ownerId: "owner", buildId: null, name: null };
      const session = { spaceId: space.id, ...owner, limits, network: { mode: "none" as const }, metadata: {} };
      return (await insertSession(transaction, session)).id;
    });
    const ids: number[] = [];
    const abort = new AbortController();
    const taken = (async () => {
      for await (const event of following.follow(sessionId, 0, abort.signal)) {
        ids.push(event.id);
        if (ids.length === 300) return;
      }
    })();
    for (let round = 0; round < 60; round += 1) {
      await Promise.all(
        [0, 1, 2, 3, 4].map((index) =>
          writing.write((_, append) => append(sessionId, [{ type: "message.delta", data: { text: `${index}` } }])),
        ),
      );
    }
    await taken;
    expect(ids).toEqual(Array.from({ length: 300 }, (_, index) => index + 1));
  });

  it("lets one server do the work of a key", async () => {
    const all = await Promise.all([start(), start(), start()]);
    const keys = Array.from({ length: 10 }, (_, index) => `key-${index}`);
    const held = await Promise.all(
      all.map(async ({ leases }) => {
        const answers = await Promise.all(keys.map((key) => leases.hold("session", key)));
        return keys.filter((_, index) => answers[index]);
      }),
    );
    expect(held.flat().toSorted()).toEqual(keys.toSorted());
    // Asked again, each says the same.
    for (const [index, { leases }] of all.entries()) {
      expect(await leases.holdAll("session", keys)).toEqual(held[index]);
    }
  });

  it("hands a key that was given up to whoever asks next", async () => {
    const one = await start();
    const two = await start();
    expect(await one.leases.hold("session", "key")).toBe(true);
    expect(await two.leases.hold("session", "key")).toBe(false);
    await one.leases.release("session", "key");
    expect(await two.leases.hold("session", "key")).toBe(true);
    expect(await one.leases.hold("session", "key")).toBe(false);
  });

  it("gives what is made together with its lease to the server that made it", async () => {
    const one = await start();
    const two = await start();
    await store.write((transaction) => one.leases.take(transaction, "session", "key"));
    expect(await two.leases.hold("session", "key")).toBe(false);
    expect(await one.leases.hold("session", "key")).toBe(true);
  });

  it("frees the keys of a server that leaves", async () => {
    const one = await start();
    const two = await start();
    await one.leases.holdAll("session", ["a", "b"]);
    await one.servers.close();
    await two.until(() => two.free.length === 2);
    expect(two.free.toSorted()).toEqual(["a", "b"]);
    expect(await two.leases.holdAll("session", two.free)).toHaveLength(2);
  });

  it("takes over from a server that is silent, and lets it write nothing more", async () => {
    const silent = await start({ intervalMs: 3_600_000 });
    expect(await silent.leases.hold("session", "key")).toBe(true);
    const other = await start({ intervalMs: 20, goneAfterMs: 300 });
    await other.until(() => other.free.includes("key"));
    expect(await other.leases.hold("session", "key")).toBe(true);
    const late = store.write((transaction) => silent.leases.guard(transaction, "session", "key"));
    await expect(late).rejects.toThrow(LeaseLost);
    await store.write((transaction) => other.leases.guard(transaction, "session", "key"));
  });

  it("goes on anew when it was taken for gone", async () => {
    const one = await start({ intervalMs: 20 });
    const two = await start({ intervalMs: 20 });
    expect(await one.leases.hold("session", "key")).toBe(true);
    const before = one.servers.id;
    await store.write((transaction) => deleteServer(transaction, before));
    await one.until(() => one.lost.includes("key"));
    expect(one.servers.id).not.toBe(before);
    const answers = [await one.leases.hold("session", "key"), await two.leases.hold("session", "key")];
    expect(answers.filter((held) => held)).toHaveLength(1);
    await hear(one.wakeups, two.wakeups);
    await hear(two.wakeups, one.wakeups);
  });

  it("makes a takeover wait for what is being recorded under the lease", async () => {
    const one = await start();
    await one.leases.hold("session", "key");
    const order: string[] = [];
    let guarded = (): void => undefined;
    const inside = new Promise<void>((resolve) => {
      guarded = resolve;
    });
    const recording = store.write(async (transaction) => {
      await one.leases.guard(transaction, "session", "key");
      guarded();
      // Time for the takeover below to come between, if it could.
      for (let index = 0; index < 20; index += 1) await one.leases.guard(transaction, "session", "key");
      order.push("recorded");
    });
    await inside;
    await store.write(async (transaction) => {
      await deleteServer(transaction, one.servers.id);
      expect(await claimLease(transaction, { kind: "session", key: "key" }, "other")).toBe(true);
      order.push("taken over");
    });
    await recording;
    expect(order).toEqual(["recorded", "taken over"]);
  });

  it("writes heartbeats only where somebody may look for them", async () => {
    const one = await start({ intervalMs: 1 });
    const [before] = await listServers(store.read);
    await sleep(60);
    const [after] = await listServers(store.read);
    expect(after?.heartbeat_at === before?.heartbeat_at).toBe(databases.kind === "sqlite");
    expect(one.servers.confident).toBe(true);
  });
});
