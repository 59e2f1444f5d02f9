// A process that shares a store and its leases with others of its kind: what several control planes are to each other.
// It works on each key in turns, and notes in the store which server did each one.
import { pino } from "pino";
import type { DatabaseAddress } from "../../packages/server/src/config.ts";
import { KeyedLoop } from "../../packages/server/src/operator/keyed-loop.ts";
import { Leases } from "../../packages/server/src/operator/leases.ts";
import { Servers } from "../../packages/server/src/operator/servers.ts";
import { Wakeups } from "../../packages/server/src/operator/wakeups.ts";
import { openStore } from "../../packages/server/src/store/store.ts";

interface Task {
  readonly address: DatabaseAddress;
  readonly directory: string;
  readonly keys: readonly string[];
}

export interface WorkerReport {
  readonly type: "ready" | "free" | "lost" | "turn" | "refused";
  readonly key?: string;
  readonly server?: string;
}

const report = (message: WorkerReport): void => {
  process.send?.(message);
};

const { address, directory, keys } = JSON.parse(process.argv[2] ?? "") as Task;
const store = await openStore(address);
const wakeups = new Wakeups();
const log = pino({ level: "silent" });
const servers = await Servers.start({ store, wakeups, log, directory, oneMachine: address.kind === "sqlite" });
const leases = new Leases(store, servers);

/** Set when this process shall stop in the middle of a piece of work, with no transaction under way. */
let stopping = false;
let writing = 0;

/** One piece of work: read, do something that takes a while, record under the lease. */
const loop = new KeyedLoop({
  name: "work",
  log,
  concurrency: 4,
  turn: async (key) => {
    if (!(await leases.hold("session", key))) return "done";
    const name = `work ${key}`;
    const row = await store.read.selectFrom("settings").select("value").where("name", "=", name).executeTakeFirst();
    const done: string[] = JSON.parse(row?.value ?? "[]");
    await new Promise((resolve) => setTimeout(resolve, 10));
    // No other turn goes on to write meanwhile.
    while (stopping && writing > 0) await new Promise((resolve) => setTimeout(resolve, 1));
    if (stopping) {
      stopping = false;
      process.kill(process.pid, "SIGSTOP");
    }
    writing += 1;
    try {
      await store.write(async (transaction) => {
        await leases.guard(transaction, "session", key);
        const value = JSON.stringify([...done, servers.id]);
        if (row === undefined) await transaction.insertInto("settings").values({ name, value }).execute();
        else await transaction.updateTable("settings").set({ value }).where("name", "=", name).execute();
      });
    } catch (error) {
      if (error instanceof Error && error.name === "LeaseLost") {
        report({ type: "refused", key });
        return "done";
      }
      throw error;
    } finally {
      writing -= 1;
    }
    report({ type: "turn", key, server: servers.id });
    return { againAfterMs: 10 };
  },
});

leases.share("session", {
  onFree: (key) => {
    report({ type: "free", key });
    loop.wake(key);
  },
  onLost: (key) => {
    report({ type: "lost", key });
    loop.interrupt(key);
  },
});
for (const key of keys) loop.wake(key);
report({ type: "ready", server: servers.id });

process.on("message", async (order: "stop" | "close") => {
  if (order === "stop") {
    stopping = true;
    return;
  }
  await loop.close();
  await servers.close();
  await store.close();
  process.disconnect?.();
});
