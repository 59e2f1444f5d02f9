import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import type { Notice, Order, ProgramStart } from "./orders.ts";

// A process of its own, with nothing but what Node.js brings: it is small, and so are the copies that starting makes of it.

const LOG_MODE = 0o600;

interface Running {
  readonly child: ChildProcess;
  /** By which it talks. */
  readonly descriptors: readonly number[];
}

const running = new Map<number, Running>();

function tell(notice: Notice): void {
  process.send?.(notice, undefined, undefined, () => undefined);
}

function start(id: number, { environment, heard, log, told, words }: ProgramStart): void {
  const [program, ...rest] = words;
  let output: number | undefined;
  try {
    output = log === null ? undefined : openSync(log, "a", LOG_MODE);
    const child = spawn(program, rest, {
      cwd: "/",
      env: environment,
      detached: true,
      stdio: ["ignore", output ?? "ignore", output ?? "ignore", "pipe", ...heard.map(() => "pipe" as const)],
    });
    running.set(id, { child, descriptors: [told, ...heard] });
    follow(id, child, told, heard);
    tell({ notice: "started", id, pid: child.pid ?? null });
  } catch {
    tell({ notice: "ended", id, code: null });
  } finally {
    if (output !== undefined) closeSync(output);
  }
}

function follow(id: number, child: ChildProcess, told: number, heard: readonly number[]): void {
  child.once("exit", (code) => tell({ notice: "ended", id, code }));
  child.on("error", () => {
    if (child.pid === undefined) tell({ notice: "ended", id, code: null });
  });
  // What it has started may keep its descriptors.
  child.once("close", () => running.delete(id));
  const stream = child.stdio[told] as Readable;
  stream.setEncoding("latin1");
  stream.on("data", (text: string) => tell({ notice: "told", id, text }));
  stream.on("error", () => undefined);
  stream.on("close", () => tell({ notice: "silent", id }));
  for (const descriptor of heard) child.stdio[descriptor]?.on("error", () => undefined);
}

process.on("message", (order: Order) => {
  if (order.order === "start") {
    start(order.id, order);
    return;
  }
  const known = running.get(order.id);
  if (known === undefined) return;
  const { child, descriptors } = known;
  switch (order.order) {
    case "say":
      (child.stdio[order.descriptor] as Writable | null | undefined)?.write(order.text);
      return;
    case "hush":
      for (const descriptor of descriptors) (child.stdio[descriptor] as Readable | null | undefined)?.destroy();
      return;
    case "kill":
      child.kill("SIGKILL");
  }
});

// The server has ended or was killed: what waits for its leave ends with the descriptors.
process.on("disconnect", () => process.exit(0));
