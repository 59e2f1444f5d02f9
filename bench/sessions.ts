import { figuresOf, measure } from "./figures.ts";
import type { Report } from "./report.ts";
import { openSession, type Target } from "./target.ts";

const COLD_ROUNDS = 3;

/**
 * Cold creation through the API, against what the runtime itself needs at least: in turns, since how fast a machine starts
 * processes changes within a minute.
 */
export async function benchCold(
  { client, runtime }: Target,
  report: Report,
  floor: { readonly name: string; readonly measure: () => Promise<number> },
): Promise<void> {
  const floors: number[] = [];
  const times: number[] = [];
  for (let round = 0; round < COLD_ROUNDS; round += 1) {
    floors.push(await floor.measure());
    const ids: string[] = [];
    times.push(...(await measure(8, async () => void ids.push(await openSession(client)))));
    for (const id of ids) await client.call("sessions.delete", { params: { id } });
  }
  const value = figuresOf(floors).p50;
  report.times(`${runtime}: cold create → ready`, times, { floor: { name: floor.name, value }, goal: "≤ 1.3 ×" });
}

/** Creation from the pool until the first command has ended. */
export async function benchWarm(target: Target, report: Report, floor: { name: string; value: number }): Promise<void> {
  const { client, runtime, server } = target;
  const size = 10;
  await client.call("spaces.update", { params: { space: "default" }, body: { settings: { warm_pool: size } } });
  const times: number[] = [];
  const parts = { create: [] as number[], exec: [] as number[] };
  for (let run = 0; run < 30; run += 1) {
    await poolReady(server, size + run);
    const start = performance.now();
    const session = await client.call("sessions.create", { body: {} });
    const created = performance.now();
    const { stdout } = await client.call("sessions.exec", { params: { id: session.id }, body: { command: "echo ok" } });
    const end = performance.now();
    if (session.state !== "idle" || stdout !== "ok\n") throw new Error("The session did not come from the pool");
    times.push(end - start);
    parts.create.push(created - start);
    parts.exec.push(end - created);
    await client.call("sessions.delete", { params: { id: session.id } });
  }
  report.times(`${runtime}: warm create → first exec`, times, { floor, goal: "p50 ≤ 10 ms, p99 ≤ 40 ms" });
  report.times(`${runtime}:   of it the creation`, parts.create);
  report.times(`${runtime}:   of it the first exec`, parts.exec);
  await client.call("spaces.update", { params: { space: "default" }, body: { settings: { warm_pool: 0 } } });
}

export async function poolReady(server: Target["server"], count: number): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    const made = server.log().split("waits in the pool").length - 1;
    if (made >= count) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("The pool did not fill");
}

export async function benchThaw(
  target: Target,
  report: Report,
  floor?: { name: string; value: number },
): Promise<void> {
  const { client, runtime } = target;
  const space = "thaw";
  await client.call("spaces.create", { body: { name: space, settings: { idle: { freeze_after_s: 1 } } } });
  const { id } = await client.call("sessions.create", { body: { space, wait: "ready" } });
  const times: number[] = [];
  for (let run = 0; run < 5; run += 1) {
    for (let tries = 0; tries < 100; tries += 1) {
      if ((await client.call("sessions.get", { params: { id } })).tier === "frozen") break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
    const start = performance.now();
    await client.call("sessions.exec", { params: { id }, body: { command: "true" } });
    times.push(performance.now() - start);
  }
  report.times(`${runtime}: thaw and first exec`, times, { ...(floor ? { floor } : {}), goal: "≤ 2 ×" });
  await client.call("sessions.delete", { params: { id } });
}
