import { parseArgs } from "node:util";
import { has } from "../test/support/requirements.ts";
import { benchBurst, benchCapacity } from "./capacity.ts";
import { benchExec } from "./exec.ts";
import { commitFloor, engineBurstFloor, engineFloor, sandboxFloor, spawnFloor, unpauseFloor } from "./floors.ts";
import { benchLists } from "./lists.ts";
import { benchMemory } from "./memory.ts";
import { benchCrowd, benchMessages } from "./messages.ts";
import { Report } from "./report.ts";
import { benchRequests } from "./requests.ts";
import { benchCold, benchThaw, benchWarm } from "./sessions.ts";
import { openTarget, type Runtime } from "./target.ts";

// npm run bench -- [--json] [--runtime docker|sandbox] [--only cold,warm,thaw,exec,messages,requests] [--execs 10000]
// Only where they are asked for, since they take long: --only lists,memory,burst,capacity,crowd [--capacity 200]
const { values } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    runtime: { type: "string" },
    only: { type: "string" },
    execs: { type: "string", default: "1000" },
    /** The most sessions that are opened to find how many there can be. */
    capacity: { type: "string", default: "100" },
  },
});
// Whoever stops reading gets nothing more; what was made is removed all the same.
process.stdout.on("error", () => undefined);
const named = values.only?.split(",") ?? [];
const wanted = (part: string) => values.only === undefined || named.includes(part);
const runtimes = (["sandbox", "docker"] as const).filter(
  (name) => values.runtime === undefined || values.runtime === name,
);
const report = new Report(values.json);
/** Parts that need a server with agents, on each runtime. */
const needsTarget =
  ["cold", "warm", "thaw", "exec", "messages"].some(wanted) ||
  ["capacity", "burst", "crowd"].some((part) => named.includes(part));
const working = runtimes.find((name) => has(name));
if (wanted("requests")) {
  if (working === undefined) report.skipped("requests", "no runtime works on this machine");
  else await benchRequests(working, report);
}
// Builds a million messages first: only where it is asked for.
if (named.includes("lists")) await benchLists(report);
for (const runtime of named.includes("memory") ? runtimes : []) {
  if (has(runtime)) await benchMemory(runtime, report);
}
const spawned = await spawnFloor();
const committed = await commitFloor();

for (const runtime of needsTarget ? runtimes : []) {
  if (has(runtime)) await bench(runtime);
  else report.skipped(runtime, "it does not work on this machine");
}
report.end();

async function bench(runtime: Runtime): Promise<void> {
  const floor =
    runtime === "docker"
      ? { name: "the engine's create + start", measure: () => engineFloor("raworc_session:dev", 10) }
      : { name: "bwrap with overlay, limits and node", measure: () => sandboxFloor() };
  const thawFloor =
    runtime === "docker"
      ? { name: "the engine's unpause", value: await unpauseFloor("raworc_session:dev") }
      : undefined;
  const target = await openTarget(runtime);
  try {
    if (wanted("cold")) await benchCold(target, report, floor);
    if (wanted("exec")) await benchExec(target, report, spawned, Number(values.execs));
    if (wanted("messages")) await benchMessages(target, report, committed);
    if (wanted("thaw")) await benchThaw(target, report, thawFloor);
    if (wanted("warm")) await benchWarm(target, report, { name: "commit + spawn", value: committed + spawned });
    if (named.includes("crowd")) await benchCrowd(target, report);
    if (named.includes("burst")) await benchBurst(target, report, await burstFloor(runtime));
    if (named.includes("capacity")) await benchCapacity(target, report, Number(values.capacity));
  } finally {
    await target.close();
  }
}

async function burstFloor(runtime: Runtime): Promise<{ name: string; value: number }> {
  return runtime === "docker"
    ? { name: "the engine's 40 starts at once", value: await engineBurstFloor("raworc_session:dev", 40) }
    : { name: "40 times bwrap and node at once", value: await sandboxFloor(40) };
}
