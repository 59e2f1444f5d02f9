import { type ChildProcess, spawn } from "node:child_process";
import { closeSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import type { Config } from "./config.ts";
import type { OutputPipe, OutputPipes } from "./output-pipes.ts";
import { killTree } from "./process-tree.ts";

/** `output` is a pipe to the host, `pipe` a socket that is read and written, `ignore` is /dev/null. */
export type Descriptor = "ignore" | "pipe" | "output";

export interface Command {
  readonly words: readonly string[];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
  /** From 0 on. */
  readonly descriptors: readonly Descriptor[];
}

/** A process that runs as the agent, with all that it will start. */
export interface AgentProcess {
  readonly child: ChildProcess;
  /** The host's ends, by the number of the descriptor. */
  readonly input: (descriptor: number) => Writable | undefined;
  readonly output: (descriptor: number) => Readable;
  /** Sends a signal to its process group. */
  readonly signal: (name: NodeJS.Signals) => void;
  /** Kills it and everything that came from it, whatever session or parent that has now. */
  readonly killTree: () => Promise<void>;
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
  readonly #pipes: OutputPipes;
  readonly #living = new Set<AgentProcess>();
  #marks = 0;

  constructor(config: Config, pipes: OutputPipes) {
    this.#config = config;
    this.#pipes = pipes;
  }

  get living(): ReadonlySet<AgentProcess> {
    return this.#living;
  }

  /** A process that could not be started has no pid, and emits `error`. */
  async start(command: Command): Promise<AgentProcess> {
    const pipes = await Promise.all(
      command.descriptors.map((descriptor) => (descriptor === "output" ? this.#pipes.take() : undefined)),
    );
    const { agentUid, spawnPrefix } = this.#config;
    this.#marks += 1;
    const mark = MARK_FIRST - this.#marks;
    const changesUid = spawnPrefix.length === 0 && agentUid !== process.getuid?.();
    const child = spawn("/bin/sh", ["-c", SHIM, "sh", String(mark), command.cwd, ...spawnPrefix, ...command.words], {
      cwd: "/",
      env: command.environment,
      stdio: command.descriptors.map((descriptor, index) =>
        descriptor === "output" ? (pipes[index]?.writer ?? "pipe") : descriptor,
      ),
      detached: true,
      ...(changesUid ? { uid: agentUid, gid: agentUid } : {}),
    });
    for (const pipe of pipes) if (pipe !== undefined) closeSync(pipe.writer);
    const started = describe(child, pipes, mark);
    if (child.pid !== undefined) {
      this.#living.add(started);
      child.once("exit", () => this.#living.delete(started));
    }
    return started;
  }
}

function describe(child: ChildProcess, pipes: readonly (OutputPipe | undefined)[], mark: number): AgentProcess {
  return {
    child,
    input: (descriptor) => (child.stdio?.[descriptor] as Writable | null | undefined) ?? undefined,
    output: (descriptor) => {
      const stream = pipes[descriptor]?.reader ?? (child.stdio?.[descriptor] as Readable | null | undefined);
      if (stream === null || stream === undefined) throw new Error("Too many files are open for another process");
      return stream;
    },
    signal: (name) => signalGroup(child.pid, name),
    killTree: () => killTree(mark, child.pid),
  };
}

function signalGroup(pid: number | undefined, name: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, name);
  } catch {
    // It ended meanwhile.
  }
}
