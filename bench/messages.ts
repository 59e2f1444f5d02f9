import { measure } from "./figures.ts";
import type { Report } from "./report.ts";
import { ask, openSession, type Target } from "./target.ts";

const CLIENTS = 8;
const EACH = 150;

export async function benchMessages(target: Target, report: Report, commitFloor: number): Promise<void> {
  const { client, runtime } = target;
  const id = await openSession(client);
  const floor = { name: "a durable commit", value: commitFloor };
  for (const agent of ["py", "js"]) {
    await ask(client, id, `@${agent} echo warm`);
    const run = () => ask(client, id, `@${agent} echo hello`);
    report.times(`${runtime}: message round trip, ${agent}`, await measure(200, run), {
      floor,
      goal: "p50 ≤ 4 ms, p95 ≤ 10 ms",
    });
  }
  for (let count = 0; count < 600; count += 1) await ask(client, id, "@js echo more");
  report.times(
    `${runtime}: message round trip after 1,000`,
    await measure(100, () => ask(client, id, "@js echo hello")),
    {
      floor,
      goal: "as at first",
    },
  );
  await client.call("sessions.delete", { params: { id } });
  const ids = await Promise.all(Array.from({ length: CLIENTS }, () => openSession(client)));
  await Promise.all(ids.map((session) => ask(client, session, "@js echo warm")));
  const start = performance.now();
  await Promise.all(
    ids.map(async (session) => {
      for (let count = 0; count < EACH; count += 1) await ask(client, session, "@js echo hello");
    }),
  );
  const rate = (CLIENTS * EACH * 1000) / (performance.now() - start);
  report.value(`${runtime}: messages with ${CLIENTS} clients`, "per s", rate, { goal: "≥ 1,000 per s" });
  for (const session of ids) await client.call("sessions.delete", { params: { id: session } });
}
