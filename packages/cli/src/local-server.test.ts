import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { processStartTime, type ServerState } from "./local-server.ts";
import { testContext } from "./test-context.ts";

async function sleeper(script = ""): Promise<{ child: ReturnType<typeof spawn>; state: ServerState }> {
  const child = spawn(process.execPath, ["-e", `${script}; setInterval(() => {}, 1000); console.log("ready")`], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  await once(child.stdout, "data");
  const pid = child.pid ?? 0;
  const times = { start_time: (await processStartTime(pid)) ?? "", started_at: "2026-11-24T00:00:00.000Z" };
  return { child, state: { pid, ...times, url: "http://127.0.0.1:1", runtime: "sandbox", reason: "", overrides: {} } };
}

test("a server is known by its number and its beginning, and stopped by a signal", async () => {
  using run = testContext();
  const { localServer } = run.context;
  const { child, state } = await sleeper();
  await localServer.save(state);
  expect(await localServer.running()).toEqual(state);
  const exited = once(child, "exit");
  expect(await localServer.stop(state, 20_000)).toBe(true);
  expect(await exited).toEqual([null, "SIGTERM"]);
  expect(await localServer.running()).toBeUndefined();
  expect(await localServer.last()).toEqual(state);
});

test("a server that does not end is killed", async () => {
  using run = testContext();
  const { child, state } = await sleeper('process.on("SIGTERM", () => {})');
  const exited = once(child, "exit");
  expect(await run.context.localServer.stop(state, 1)).toBe(false);
  expect(await exited).toEqual([null, "SIGKILL"]);
});

test("another process that got the same number is left alone", async () => {
  using run = testContext();
  const { localServer } = run.context;
  const { child, state } = await sleeper();
  const other = { ...state, start_time: "1" };
  await localServer.save(other);
  expect(await localServer.running()).toBeUndefined();
  expect(await localServer.stop(other, 1)).toBe(true);
  expect(child.exitCode ?? child.signalCode).toBeNull();
  child.kill("SIGKILL");
  await once(child, "exit");
});
