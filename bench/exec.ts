import { measure } from "./figures.ts";
import type { Report } from "./report.ts";
import { openSession, type Target } from "./target.ts";

export async function benchExec(target: Target, report: Report, spawnFloor: number, runs: number): Promise<void> {
  const { client, runtime } = target;
  const id = await openSession(client);
  const run = () => client.call("sessions.exec", { params: { id }, body: { command: "echo ok" } });
  const floor = { name: "a spawned sh", value: spawnFloor };
  report.times(`${runtime}: exec round trip`, await measure(200, run), { floor, goal: "≤ 2.5 ×" });
  for (let count = 0; count < runs; count += 1) await run();
  report.times(`${runtime}: exec after ${runs} more`, await measure(200, run), { floor, goal: "as at first" });
  await client.call("sessions.delete", { params: { id } });
}
