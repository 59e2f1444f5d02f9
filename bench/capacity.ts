import { readFileSync } from "node:fs";
import { figuresOf } from "./figures.ts";
import type { Report } from "./report.ts";
import { poolReady } from "./sessions.ts";
import { someAtOnce } from "./some-at-once.ts";
import { openSession, type Target } from "./target.ts";

const BURST = 50;
const POOL = 10;
/** Creations that count together, so that one slow moment says nothing. */
const GROUP = 5;
/** Sessions that are made side by side between two groups. */
const FILL = 45;
const MIB = 1024;

/** Fifty creations at once, of which a pool serves ten. */
export async function benchBurst(
  { client, runtime, server }: Target,
  report: Report,
  floor: { name: string; value: number },
): Promise<void> {
  const params = { space: "default" };
  await client.call("spaces.update", { params, body: { settings: { warm_pool: POOL } } });
  await poolReady(server, POOL);
  const times: number[] = [];
  const start = performance.now();
  const ids = await Promise.all(
    Array.from({ length: BURST }, async () => {
      const id = await openSession(client);
      times.push(performance.now() - start);
      return id;
    }),
  );
  report.times(`${runtime}: ${BURST} at once, each ready`, times);
  const last = Math.max(...times);
  report.value(`${runtime}: ${BURST} at once, the last ready`, "ms", last, { floor, goal: "≤ 1.3 ×" });
  await client.call("spaces.update", { params, body: { settings: { warm_pool: 0 } } });
  await Promise.all(ids.map((id) => client.call("sessions.delete", { params: { id } })));
}

/** How many sessions there can be until a creation takes twice as long as at first; no more than `most` are made. */
export async function benchCapacity({ client, runtime }: Target, report: Report, most: number): Promise<void> {
  const ids: string[] = [];
  const before = availableMemory();
  const group = async (): Promise<number> => {
    const times: number[] = [];
    for (let count = 0; count < GROUP; count += 1) {
      const start = performance.now();
      ids.push(await openSession(client));
      times.push(performance.now() - start);
    }
    return figuresOf(times).p50;
  };
  await group();
  const first = await group();
  let now = first;
  while (now < 2 * first && ids.length < most) {
    const fill = Array.from({ length: Math.min(FILL, most - ids.length - GROUP) });
    await someAtOnce(fill, async () => void ids.push(await openSession(client)));
    now = await group();
  }
  const name = `${runtime}: sessions until creation slows 2 ×${now < 2 * first ? " (no more were made)" : ""}`;
  report.value(name, "count", ids.length);
  report.value(`${runtime}: creation with that many`, "ms", now, { floor: { name: "at first", value: first } });
  const each = (before - availableMemory()) / ids.length;
  report.value(`${runtime}: memory of the machine for each`, "MiB", each);
  report.value(`${runtime}: sessions that its memory suffices for`, "count", Math.floor(before / each));
  await someAtOnce(ids, (id) => client.call("sessions.delete", { params: { id } }));
}

/** MiB that the kernel could still give to programs. */
function availableMemory(): number {
  return Number(/^MemAvailable:\s+(\d+)/m.exec(readFileSync("/proc/meminfo", "latin1"))?.[1]) / MIB;
}
