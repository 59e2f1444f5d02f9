import { closeSync, openSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { bufferedOutput } from "./log-output.ts";

function openFile(path: string): number {
  const file = openSync(path, "a");
  onTestFinished(() => closeSync(file));
  return file;
}

test("lines that come together come out whole and in order, many of them before it ends", async () => {
  const directory = await mkdtemp(join(tmpdir(), "raworc-test-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  const path = join(directory, "log");
  const output = bufferedOutput(openFile(path));
  const lines = Array.from({ length: 3000 }, (_, index) => `{"line":${index},"text":"ä€"}\n`);
  for (const line of lines) output.write(line);
  expect(readFileSync(path, "utf8").length).toBeGreaterThan(0);
  await sleep(20);
  expect(readFileSync(path, "utf8")).toBe(lines.join(""));
});

test("a full disk stops nothing", async () => {
  const output = bufferedOutput(openFile("/dev/full"));
  output.write("lost\n");
  await sleep(20);
  output.write(`${"x".repeat(100_000)}\n`);
  await sleep(20);
});
