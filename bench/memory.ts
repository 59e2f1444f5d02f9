import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { appendEvents } from "../packages/server/src/store/events.ts";
import { insertSession, updateSession } from "../packages/server/src/store/sessions.ts";
import { findSpace } from "../packages/server/src/store/spaces.ts";
import { openStore } from "../packages/server/src/store/store.ts";
import { openSwap } from "../test/support/swap.ts";
import { type Client, TestServer } from "../test/support/test-server.ts";
import type { Report } from "./report.ts";
import type { Runtime } from "./target.ts";

const RECORDS = 1000;
const STREAMS = 200;
const IDLE_MS = 8000;
/** From the freeze until all is given back. */
const RETURN_MS = 15_000;
const SWAP_MIB = 256;
const MIB = 1024;

/** The server with many sessions that rest and many who listen, and one computer that nobody uses. */
export async function benchMemory(runtime: Runtime, report: Report): Promise<void> {
  const server = await TestServer.start({ runtime, environment: { RAWORC_LOG_LEVEL: "error" } });
  try {
    await server.stop();
    const ids = await fill(join(server.home, "data", "raworc.db"));
    await server.start();
    const client = await server.client();
    report.value(`${runtime}: server with ${RECORDS} records`, "MiB", memoryOf(server.pid, "VmRSS"));
    const leaving = new AbortController();
    const streams = ids.slice(0, STREAMS).map((id) => client.events(id, { after: 0, signal: leaving.signal }));
    // Each has one event of before; the next read waits.
    await Promise.all(streams.map((stream) => stream.next()));
    const waiting = streams.map((stream) => stream.next().catch(() => undefined));
    await sleep(IDLE_MS);
    const goal = "≤ 150 MB";
    const name = `${runtime}: server with ${RECORDS} records, ${STREAMS} streams`;
    report.value(name, "MiB", memoryOf(server.pid, "VmRSS"), { goal });
    report.value(`${runtime}:   of it its own alone`, "MiB", privateOf(server.pid));
    report.value(`${runtime}:   the most there was`, "MiB", memoryOf(server.pid, "VmHWM"));
    leaving.abort();
    await Promise.all(waiting);

    const space = "memory";
    await client.call("spaces.create", { body: { name: space, settings: { idle: { freeze_after_s: 10 } } } });
    const { id } = await client.call("sessions.create", { body: { space, wait: "ready" } });
    await sleep(IDLE_MS);
    const hosts = hostProcesses(server.home);
    const held = () => hosts.reduce((sum, pid) => sum + privateOf(pid), 0);
    report.value(`${runtime}: private memory of an idle computer`, "MiB", held(), { goal: "≤ 10 MiB" });
    const frozen = async () => {
      while ((await client.call("sessions.get", { params: { id } })).tier !== "frozen") await sleep(100);
    };
    await frozen();
    await sleep(1000);
    report.value(`${runtime}: private memory of a frozen one`, "MiB", held());
    const swap = await openSwap(SWAP_MIB);
    if (swap === undefined)
      report.skipped(`${runtime}: private memory of a frozen one, with swap`, "none can be added");
    else {
      try {
        await benchSwap({ runtime, report, client, id, frozen, held });
      } finally {
        await swap.close();
      }
    }
    await client.call("sessions.delete", { params: { id } });
  } finally {
    await server.destroy();
  }
}

interface SwapTarget {
  readonly runtime: Runtime;
  readonly report: Report;
  readonly client: Client;
  readonly id: string;
  readonly frozen: () => Promise<void>;
  /** MiB of the session's host. */
  readonly held: () => number;
}

/** What a frozen computer keeps where the kernel can swap, and what it costs to use it again. */
async function benchSwap({ runtime, report, client, id, frozen, held }: SwapTarget): Promise<void> {
  const exec = async () => {
    const start = performance.now();
    await client.call("sessions.exec", { params: { id }, body: { command: "echo ok" } });
    return performance.now() - start;
  };
  await exec();
  await frozen();
  const plain = await exec();
  await frozen();
  await sleep(RETURN_MS);
  report.value(`${runtime}: private memory of a frozen one, with swap`, "MiB", held(), { goal: "≤ 4 MiB" });
  const floor = { name: "when just frozen", value: plain };
  report.value(`${runtime}: thaw and first exec, from swap`, "ms", await exec(), { floor });
}

/** Sessions as they are after a long rest. */
async function fill(path: string): Promise<readonly string[]> {
  const store = await openStore({ kind: "sqlite", path });
  try {
    const space = await findSpace(store.read, "default");
    if (space === undefined) throw new Error("There is no default space");
    const plain = { name: null, createdBy: "admin", ownerId: "admin", buildId: null, metadata: {} } as const;
    const limits = { cpus: 1, memory_mb: 64, disk_mb: 64, pids: 16 };
    return await store.write(async (transaction) => {
      const ids: string[] = [];
      for (let count = 0; count < RECORDS; count += 1) {
        const { id } = await insertSession(transaction, {
          ...plain,
          spaceId: space.id,
          limits,
          network: { mode: "none" },
        });
        await updateSession(transaction, id, { state: "idle", tier: "stopped", attempted: true });
        await appendEvents(transaction, id, [{ type: "session.state", data: { state: "idle" } }]);
        ids.push(id);
      }
      return ids;
    });
  } finally {
    await store.close();
  }
}

/** The hosts of a server themselves, told by what is mounted there; what starts them is shared memory of small programs. */
function hostProcesses(home: string): readonly number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 0 && /node\0.*host\.mjs\0$/s.test(textOf(`/proc/${pid}/cmdline`)) && !isInit(pid))
    .filter((pid) => textOf(`/proc/${pid}/mountinfo`).includes(home));
}

function isInit(pid: number): boolean {
  return /^\/(usr\/)?bin\/(sh|tini)/.test(textOf(`/proc/${pid}/cmdline`));
}

function memoryOf(pid: number, field: string): number {
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(textOf(`/proc/${pid}/status`))?.[1]) / MIB;
}

function privateOf(pid: number): number {
  return Number(/Private_Dirty:\s+(\d+)/.exec(textOf(`/proc/${pid}/smaps_rollup`))?.[1]) / MIB;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
