import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import type { Config } from "./config.ts";
import { killTree } from "./process-tree.ts";

export interface Command {
  readonly words: readonly string[];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly stdio: StdioOptions;
}

/** A process that runs as the agent, with all that it will start. */
export interface AgentProcess {
  readonly child: ChildProcess;
  /** Sends a signal to its process group. */
  signal(name: NodeJS.Signals): void;
  /** Kills it and everything that came from it, whatever session or parent that has now. */
  killTree(): Promise<void>;
}

/**
 * Sets the mark and the folder as the agent itself, which may enter folders that are closed to the host.
 * A computer where the mark can't be set falls back on process groups and parents.
 */
const SHIM = 'ulimit -m "$1" 2>/dev/null; cd -- "$2" || exit 126; unset OLDPWD; shift 2; exec "$@"';
const MARK_FIRST = 2 ** 50;

/** Starts everything that is not the host. */
export class AgentProcesses {
  readonly #config: Config;
  readonly #living = new Set<AgentProcess>();
  #marks = 0;

  constructor(config: Config) {
    this.#config = config;
  }

  get living(): ReadonlySet<AgentProcess> {
    return this.#living;
  }

  start(command: Command): AgentProcess {
    const { agentUid, spawnPrefix } = this.#config;
    this.#marks += 1;
    const mark = MARK_FIRST - this.#marks;
    const changesUid = spawnPrefix.length === 0 && agentUid !== process.getuid?.();
    const words = ["-c", SHIM, "sh", String(mark), command.cwd, ...spawnPrefix, ...command.words];
    const child = spawn("/bin/sh", words, {
      cwd: "/",
      env: command.environment,
      stdio: command.stdio,
      detached: true,
      ...(changesUid ? { uid: agentUid, gid: agentUid } : {}),
    });
    const started: AgentProcess = {
      child,
      signal: (name) => signalGroup(child.pid, name),
      killTree: () => killTree(mark, child.pid),
    };
    if (child.pid !== undefined) {
      this.#living.add(started);
      child.once("exit", () => this.#living.delete(started));
    }
    return started;
  }
}

function signalGroup(pid: number | undefined, name: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, name);
  } catch {
    // It ended meanwhile.
  }
}
