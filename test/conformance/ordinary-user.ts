// Run by sandbox.test.ts as a user that is not root and has no further ids: prints what it saw, as JSON.
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { pino } from "pino";
import { EgressProxy } from "../../packages/server/src/runtime/egress.ts";
import { createSandboxDriver } from "../../packages/server/src/runtime/sandbox/sandbox-driver.ts";
import { open, reachIn, run, specOf } from "./computer-calls.ts";

const [program, hash, parent] = process.argv.slice(2) as [string, string, string];
const dataDirectory = await mkdtemp(join(parent, "user-"));
const log = pino({ level: "silent" });
const egress = new EgressProxy({ log, mirrorHosts: [] });
const driver = await createSandboxDriver({
  instanceId: "ordinary",
  dataDirectory,
  hostProgram: { directory: program, hash },
  egress,
  certificates: null,
  mirrorHosts: [],
  userHome: "/nonexistent",
  path: "/usr/bin:/bin",
  log,
});
try {
  const check = await driver.check();
  const id = await open(driver, specOf({ limits: { cpus: 1, memory_mb: 512, disk_mb: 512, pids: 64 } }));
  const text = async (command: string): Promise<string> => (await run(driver, id, command)).stdout.trim();
  const inside = {
    user: await text("id -u; grep -E 'CapPrm|NoNewPrivs|Seccomp:' /proc/self/status | tr -d '\\t'"),
    // The host is process 1 or its child; neither is among those that an agent sees, nor are its folders.
    processes: await text("cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'host[.]mjs'"),
    folders: await text("ls -A /run/raworc /session/state | grep -v :"),
    logs: await text("touch /session/logs/mine && echo written"),
    namespaces: await text("unshare -U true && echo made"),
    kill: await text("kill -KILL -1; echo still here"),
    kept: await text("echo kept > /session/workspace/file; cat /session/workspace/file"),
    bomb: await text("trap 'kill 0' EXIT; i=0; while [ $i -lt 200 ]; do sleep 20 & i=$((i+1)); done; echo all"),
  };
  const reached = await reachIn(driver.socketDirectory(id));
  await driver.freeze(id);
  const frozen = (await driver.observe(id)).status;
  await driver.thaw(id);
  await driver.stop(id, 3000);
  const stopped = (await driver.observe(id)).status;
  await open(driver, specOf({ id }));
  const again = await text("cat /session/workspace/file");
  await driver.reset();
  const left = await readdir(join(dataDirectory, "sandbox"));
  const { limits, separateUids } = driver.capabilities;
  process.stdout.write(
    JSON.stringify({ ok: check.ok, limits, separateUids, inside, reached, frozen, stopped, again, left }),
  );
} finally {
  await driver.reset();
  await driver.close();
  await egress.close();
  await rm(dataDirectory, { recursive: true, force: true });
}
