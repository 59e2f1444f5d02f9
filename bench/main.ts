import { parseArgs } from "node:util";
import { has } from "../test/support/requirements.ts";
import { benchExec } from "./exec.ts";
import { commitFloor, engineFloor, sandboxFloor, spawnFloor, unpauseFloor } from "./floors.ts";
import { benchLists } from "./lists.ts";
import { benchMessages } from "./messages.ts";
import { Report } from "./report.ts";
import { benchRequests } from "./requests.ts";
import { benchCold, benchThaw, benchWarm } from "./sessions.ts";
import { openTarget, type Runtime } from "./target.ts";

// npm run bench -- [--json] [--runtime docker|sandbox] [--only cold,warm,thaw,exec,messages,requests,lists] [--execs 10000]
const { values } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    runtime: { type: "string" },
    only: { type: "string" },
    execs: { type: "string", default: "1000" },
  },
});
const wanted = (part: string) => values.only === undefined || values.only.split(",").includes(part);
const runtimes = (["sandbox", "docker"] as const).filter(
  (name) => values.runtime === undefined || values.runtime === name,
);
const report = new Report(values.json);
/** Parts that need a server with agents, on each runtime. */
const needsTarget = ["cold", "warm", "thaw", "exec", "messages"].some(wanted);
const working = runtimes.find((name) => has(name));
if (wanted("requests")) {
  if (working === undefined) report.skipped("requests", "no runtime works on this machine");
  else await benchRequests(working, report);
}
// Builds a million messages first: only where it is asked for.
if (values.only !== undefined && wanted("lists")) await benchLists(report);
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
      ? { name: "the engine's create + start", value: await engineFloor("raworc_session:dev", 10) }
      : { name: "bwrap with overlay and node", value: await sandboxFloor() };
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
  } finally {
    await target.close();
  }
}
