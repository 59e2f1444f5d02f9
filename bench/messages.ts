import { measure } from "./figures.ts";
import type { Report } from "./report.ts";
import { someAtOnce } from "./some-at-once.ts";
import { openSession, type Target } from "./target.ts";
import { Wire } from "./wire.ts";

const CLIENTS = 8;
const EACH = 400;
const CROWD = 100;
const CROWD_SECONDS = 20;

export async function benchMessages(target: Target, report: Report, commitFloor: number): Promise<void> {
  const { client, runtime, server } = target;
  const wire = await Wire.open(server.url);
  const id = await openSession(client);
  const floor = { name: "a durable commit", value: commitFloor };
  const goal = "p50 ≤ 4 ms, p95 ≤ 10 ms";
  for (const agent of ["py", "js"]) {
    const run = () => ask(wire, id, `@${agent} echo hello`);
    report.times(`${runtime}: message round trip, ${agent}`, await measure(300, run, 50), { floor, goal });
  }
  for (let count = 0; count < 400; count += 1) await ask(wire, id, "@js echo more");
  const later = await measure(100, () => ask(wire, id, "@js echo hello"));
  report.times(`${runtime}: message round trip after 1,000`, later, { floor, goal: "as at first" });
  await client.call("sessions.delete", { params: { id } });
  await benchRate(target, report);
  wire.close();
}

async function benchRate({ client, runtime, server }: Target, report: Report): Promise<void> {
  const ids = await Promise.all(Array.from({ length: CLIENTS }, () => openSession(client)));
  const wires = await Promise.all(ids.map(() => Wire.open(server.url)));
  const run = async (each: number) => {
    const start = performance.now();
    await Promise.all(
      ids.map(async (id, index) => {
        for (let count = 0; count < each; count += 1) await ask(wires[index] as Wire, id, "@js echo hello");
      }),
    );
    return (CLIENTS * each * 1000) / (performance.now() - start);
  };
  await run(100);
  report.value(`${runtime}: messages with ${CLIENTS} clients`, "per s", await run(EACH), { goal: "≥ 1,000 per s" });
  for (const wire of wires) wire.close();
  for (const session of ids) await client.call("sessions.delete", { params: { id: session } });
}

/** Many sessions that each get one message in a second. */
export async function benchCrowd({ client, runtime, server }: Target, report: Report): Promise<void> {
  const ids: string[] = [];
  await someAtOnce(Array.from({ length: CROWD }), async () => void ids.push(await openSession(client)));
  const wires = await Promise.all(ids.map(() => Wire.open(server.url)));
  // The first message of each session starts its agent.
  await someAtOnce([...ids.entries()], ([index, id]) => ask(wires[index] as Wire, id, "@js echo hello"));
  const times: number[] = [];
  await Promise.all(
    ids.map(async (id, index) => {
      const wire = wires[index] as Wire;
      await new Promise((resolve) => setTimeout(resolve, (index * 1000) / CROWD));
      const begun = performance.now();
      for (let second = 0; second < CROWD_SECONDS; second += 1) {
        const wait = begun + second * 1000 - performance.now();
        if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
        const start = performance.now();
        await ask(wire, id, "@js echo hello");
        times.push(performance.now() - start);
      }
    }),
  );
  report.times(`${runtime}: messages of ${CROWD} sessions, one a second`, times, { goal: "p99 ≤ 50 ms" });
  for (const wire of wires) wire.close();
  await someAtOnce(ids, (id) => client.call("sessions.delete", { params: { id } }));
}

async function ask(wire: Wire, id: string, content: string): Promise<void> {
  const answer = await wire.post(`/sessions/${id}/messages`, { content, wait: "reply" });
  if (!answer.includes('"status":"done"')) throw new Error(`${content} was not answered: ${answer}`);
}
