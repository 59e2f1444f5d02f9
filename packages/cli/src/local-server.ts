import { execFile } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { z } from "zod";
import type { Config } from "./config.ts";
import { readState, writeState } from "./home.ts";

/** What a server was started with beside its environment, so that a restart starts the same. */
export const Overrides = z.record(z.string(), z.string());
export type Overrides = z.infer<typeof Overrides>;

const ProcessState = z.object({
  pid: z.number().int().positive(),
  /** When the process began, as its system tells it: another process that got the same number has another one. */
  start_time: z.string(),
  started_at: z.string(),
  runtime: z.string(),
  /** Why that runtime. */
  reason: z.string(),
  overrides: Overrides,
});
export type ProcessState = z.infer<typeof ProcessState>;

const ServerState = z.object({ ...ProcessState.shape, url: z.string() });
export type ServerState = z.infer<typeof ServerState>;

const WATCH_MS = 50;

/** A process of this home that runs in the background, as a file there tells of it. */
class LocalProcess<State extends ProcessState> {
  readonly path: string;
  readonly logPath: string;
  readonly #schema: z.ZodType<State>;

  constructor(config: Config, name: string, schema: z.ZodType<State>) {
    this.path = join(config.home, `${name}.json`);
    this.logPath = join(config.home, "logs", `${name}.log`);
    this.#schema = schema;
  }

  /** The state as it was written, whether the process still runs or not. */
  last(): Promise<State | undefined> {
    return readState(this.path, this.#schema);
  }

  /** The state of a process that runs now. */
  async running(): Promise<State | undefined> {
    const state = await this.last();
    return state !== undefined && (await isSameProcess(state)) ? state : undefined;
  }

  save(state: State): Promise<void> {
    return writeState(this.path, state);
  }

  forget(): Promise<void> {
    return rm(this.path, { force: true });
  }

  /** Asks the process to stop and waits for its end; ends it when it takes longer. Gives false when it had to. */
  async stop(state: ProcessState, patienceMs: number): Promise<boolean> {
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

/** The server of this home, which most often is the operator too. */
export class LocalServer extends LocalProcess<ServerState> {
  constructor(config: Config) {
    super(config, "server", ServerState);
  }
}

/** The operator of this home, where it is a process of its own. */
export class LocalOperator extends LocalProcess<ProcessState> {
  constructor(config: Config) {
    super(config, "operator", ProcessState);
  }
}

async function isSameProcess(state: ProcessState): Promise<boolean> {
  return (await processStartTime(state.pid)) === state.start_time;
}

/** False when the process is not there any more. */
async function signalTo(state: ProcessState, signal: NodeJS.Signals): Promise<boolean> {
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
