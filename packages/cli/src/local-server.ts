import { execFile } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { z } from "zod";
import type { Config } from "./config.ts";
import { readState, writeState } from "./home.ts";

/** What a server was started with beside its environment, so that a restart starts the same. */
const Overrides = z.record(z.string(), z.string());
export type Overrides = z.infer<typeof Overrides>;

const ServerState = z.object({
  pid: z.number().int().positive(),
  /** When the process began, as its system tells it: another process that got the same number has another one. */
  start_time: z.string(),
  url: z.string(),
  started_at: z.string(),
  runtime: z.string(),
  /** Why that runtime. */
  reason: z.string(),
  overrides: Overrides,
});
export type ServerState = z.infer<typeof ServerState>;

const WATCH_MS = 50;

/** The server of this home, as server.json tells of it. */
export class LocalServer {
  readonly path: string;
  readonly logPath: string;

  constructor(config: Config) {
    this.path = join(config.home, "server.json");
    this.logPath = join(config.home, "logs", "server.log");
  }

  /** The state as it was written, whether the server still runs or not. */
  last(): Promise<ServerState | undefined> {
    return readState(this.path, ServerState);
  }

  /** The state of a server that runs now. */
  async running(): Promise<ServerState | undefined> {
    const state = await this.last();
    return state !== undefined && (await isSameProcess(state)) ? state : undefined;
  }

  save(state: ServerState): Promise<void> {
    return writeState(this.path, state);
  }

  forget(): Promise<void> {
    return rm(this.path, { force: true });
  }

  /** Asks the process to stop and waits for its end; ends it when it takes longer. Gives false when it had to. */
  async stop(state: ServerState, patienceMs: number): Promise<boolean> {
    if (!(await signalTo(state, "SIGTERM"))) return true;
    const deadline = Date.now() + patienceMs;
    // The system tells only a parent of a process's end.
    while (await isSameProcess(state)) {
      if (Date.now() > deadline) {
        await signalTo(state, "SIGKILL");
        while (await isSameProcess(state)) await delay(WATCH_MS);
        return false;
      }
      await delay(WATCH_MS);
    }
    return true;
  }
}

async function isSameProcess(state: ServerState): Promise<boolean> {
  return (await processStartTime(state.pid)) === state.start_time;
}

/** False when the process is not there any more. */
async function signalTo(state: ServerState, signal: NodeJS.Signals): Promise<boolean> {
  if (!(await isSameProcess(state))) return false;
  try {
    process.kill(state.pid, signal);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ESRCH") return false;
    throw error;
  }
}

/** When a living process began; undefined when there is none with that number. */
export async function processStartTime(pid: number): Promise<string | undefined> {
  if (process.platform !== "linux") return startTimeByPs(pid);
  let text: string;
  try {
    text = await readFile(`/proc/${pid}/stat`, "utf8");
  } catch (error) {
    // Only what says that there is no such process: a server that is overlooked would be started twice.
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH"))
      return undefined;
    throw error;
  }
  // The name in parentheses may contain anything, parentheses too.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state] = fields;
  return state === "Z" || state === "X" ? undefined : fields[19];
}

async function startTimeByPs(pid: number): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)("ps", ["-o", "lstart=", "-p", String(pid)], { env: { LC_ALL: "C" } });
    return stdout.trim() || undefined;
  } catch (error) {
    // It ends with 1 when there is none.
    if (error instanceof Error && "code" in error && error.code === 1) return undefined;
    throw error;
  }
}
