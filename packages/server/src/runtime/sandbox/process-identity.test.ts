import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, it } from "vitest";
import { childOf, identify, isAlive, signalProcess, treeOf } from "./process-identity.ts";

it("tells a process from a later one of the same number, and knows its end", async () => {
  const child = spawn("sh", ["-c", "sleep 100 & echo started; wait"], { stdio: ["ignore", "pipe", "ignore"] });
  const ended = once(child, "exit");
  await once(child.stdout, "data");
  const identity = identify(child.pid ?? 0);
  if (identity === undefined) throw new Error("the process is not there");
  expect(isAlive(identity)).toBe(true);
  expect(isAlive({ ...identity, start: "1" })).toBe(false);
  expect(isAlive({ ...identity, boot: "another" })).toBe(false);
  expect(signalProcess({ ...identity, start: "1" }, "SIGKILL")).toBe(false);

  const grandchild = await childOf(identity);
  expect(
    treeOf(identity)
      .map(({ pid }) => pid)
      .sort(),
  ).toEqual([identity.pid, grandchild?.pid ?? 0].sort());
  for (const process of treeOf(identity)) signalProcess(process, "SIGKILL");
  await ended;
  expect(isAlive(identity)).toBe(false);
  expect(identify(identity.pid)).toBeUndefined();
});
