import { parseArgs } from "node:util";
import { has } from "../test/support/requirements.ts";
import { benchExec } from "./exec.ts";
import { commitFloor, engineFloor, sandboxFloor, spawnFloor, unpauseFloor } from "./floors.ts";
import { benchMessages } from "./messages.ts";
import { Report } from "./report.ts";
import { benchCold, benchThaw, benchWarm } from "./sessions.ts";
import { openTarget, type Runtime } from "./target.ts";

// npm run bench -- [--json] [--runtime docker|sandbox] [--only cold,warm,thaw,exec,messages] [--execs 10000]
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
const spawned = await spawnFloor();
const committed = await commitFloor();

for (const runtime of runtimes) {
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
