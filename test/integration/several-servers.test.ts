import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { DatabaseAddress } from "../../packages/server/src/config.ts";
import { openStore } from "../../packages/server/src/store/store.ts";
import { describeDatabases } from "../support/databases.ts";
import type { WorkerReport } from "../support/lease-worker.ts";

const WORKER = new URL("../support/lease-worker.ts", import.meta.url).pathname;
const KEYS = ["a", "b", "c", "d", "e", "f"];

/** A control plane's share of the work, as a process that can be killed. */
class Worker {
  readonly reports: WorkerReport[] = [];
  readonly #child: ChildProcess;
  readonly #watchers = new Set<() => void>();

  constructor(address: DatabaseAddress, directory: string, keys: readonly string[]) {
    this.#child = fork(WORKER, [JSON.stringify({ address, directory, keys })], { stdio: "inherit" });
    this.#child.on("message", (report: WorkerReport) => {
      this.reports.push(report);
      for (const watcher of this.#watchers) watcher();
    });
  }

  count(type: WorkerReport["type"], key?: string): number {
    return this.reports.filter((report) => report.type === type && (key === undefined || report.key === key)).length;
  }

  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = () => {
        if (!condition()) return;
        this.#watchers.delete(check);
        resolve();
      };
      this.#watchers.add(check);
      check();
    });
  }

  /** Makes it stop between a look and the record of what came of it. */
  stop(): void {
    this.#child.send("stop");
  }

  goOn(): void {
    this.#child.kill("SIGCONT");
  }

  async end(how: "SIGKILL" | "orderly"): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    if (how === "orderly") this.#child.send("close");
    else this.#child.kill("SIGKILL");
    await exited;
  }
}

describeDatabases("several servers on one store", (databases) => {
  let directory: string;
  let address: DatabaseAddress;
  let workers: Worker[];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "raworc-several-"));
    address = await databases.create();
    await (await openStore(address)).close();
    workers = [];
  });

  afterEach(async () => {
    for (const worker of workers) await worker.end("SIGKILL");
    await rm(directory, { recursive: true });
  });

  async function start(keys: readonly string[] = KEYS): Promise<Worker> {
    const worker = new Worker(address, directory, keys);
    workers.push(worker);
    await worker.until(() => worker.count("ready") === 1);
    return worker;
  }

  /** Turns of a key in the order in which they were recorded, by server: no turn has overwritten another. */
  async function turns(key: string): Promise<string[]> {
    const store = await openStore(address);
    try {
      const row = await store.read
        .selectFrom("settings")
        .select("value")
        .where("name", "=", `work ${key}`)
        .executeTakeFirst();
      return JSON.parse(row?.value ?? "[]");
    } finally {
      await store.close();
    }
  }

  it("shares the keys out, and takes over when a server is killed", async () => {
    const one = await start();
    await one.until(() => KEYS.every((key) => one.count("turn", key) > 0));
    const two = await start();
    // The second has none of the keys, for the first does them all.
    await one.until(() => one.count("turn") > 60);
    expect(two.count("turn")).toBe(0);
    await one.end("SIGKILL");
    await two.until(() => KEYS.every((key) => two.count("turn", key) > 1));
    const three = await start();
    await two.end("orderly");
    await three.until(() => KEYS.every((key) => three.count("turn", key) > 1));
    await three.end("orderly");
    for (const key of KEYS) {
      const order = (await turns(key)).filter((server, index, all) => server !== all[index - 1]);
      // One server after the other, each once: no key went back and forth.
      expect(order).toHaveLength(3);
      expect(new Set(order).size).toBe(3);
      // What was reported as done is recorded: nobody wrote over it.
      const reported = [one, two, three].reduce((sum, worker) => sum + worker.count("turn", key), 0);
      expect((await turns(key)).length).toBeGreaterThanOrEqual(reported);
    }
  });

  it("takes over from a server that hangs, which writes nothing when it wakes up", async () => {
    const one = await start();
    await one.until(() => KEYS.every((key) => one.count("turn", key) > 0));
    const two = await start();
    one.stop();
    await two.until(() => KEYS.every((key) => two.count("turn", key) > 0));
    const before = one.count("turn");
    one.goOn();
    await one.until(() => KEYS.every((key) => one.count("lost", key) > 0 || one.count("refused", key) > 0));
    const more = two.count("turn") + 30;
    await two.until(() => two.count("turn") > more);
    await one.end("orderly");
    await two.end("orderly");
    // Turns that were done before it hung may have been reported after it.
    expect(one.count("turn") - before).toBeLessThanOrEqual(KEYS.length);
    for (const key of KEYS) {
      const order = (await turns(key)).filter((server, index, all) => server !== all[index - 1]);
      expect(order).toHaveLength(2);
    }
  });

  it("takes a killed server's keys up at once when it is started again alone", async () => {
    const one = await start();
    await one.until(() => KEYS.every((key) => one.count("turn", key) > 0));
    await one.end("SIGKILL");
    const again = await start();
    await again.until(() => KEYS.every((key) => again.count("turn", key) > 0));
  });
});
