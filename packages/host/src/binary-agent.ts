import { unlinkSync, writeFileSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";
import { COMPUTER, type HostAgent } from "@raworc/contract";
import { type AgentOutcome, type AgentTask, describeExit, failed, refused } from "./agent-outcome.ts";
import type { AgentProcesses } from "./agent-process.ts";
import { DiskFullError, isDiskFull } from "./disk-full.ts";
import { ARGUMENT_MAX_BYTES } from "./limits.ts";
import type { MessageLog } from "./message-log.ts";
import { settle } from "./settle.ts";
import { programPath } from "./worker-command.ts";

export interface BinaryAgentOptions {
  readonly processes: AgentProcesses;
  readonly agent: HostAgent;
  readonly environment: Readonly<Record<string, string>>;
  readonly log: MessageLog;
}

/**
 * Runs a program that knows nothing of the worker protocol, once for a message: the message is argument 1 (a long one comes
 * by stdin, and the argument is `-`), stdout is the reply but for a last end of line, another exit code than 0 a failure.
 */
export async function runBinary(options: BinaryAgentOptions, task: AgentTask): Promise<AgentOutcome> {
  const { processes, agent, log } = options;
  const long = Buffer.byteLength(task.content) > ARGUMENT_MAX_BYTES || task.content.includes("\0");
  const context = giveContext(task.context.json());
  let timer: NodeJS.Timeout | undefined;
  try {
    const { child, input, output, killTree } = await processes.start({
      words: [programPath(agent.path, agent.manifest.program ?? agent.manifest.handler), long ? "-" : task.content],
      cwd: COMPUTER.workspace,
      environment: { ...options.environment, RAWORC_HANDLER: agent.manifest.handler, ...context.environment },
      descriptors: [long ? "pipe" : "ignore", "output", "output"],
    });
    const exited = new Promise<{ code: number | null; signal: string | null } | Error>((resolve) => {
      child.once("exit", (code, signal) => resolve({ code, signal }));
      child.once("error", resolve);
    });
    input(0)?.on("error", () => undefined);
    input(0)?.end(task.content);
    const stdout = output(1);
    const stderr = output(2);
    let reason: "timeout" | "cancelled" | "refused" | undefined;
    let refusal: unknown;
    const end = (why: "timeout" | "cancelled" | "refused"): void => {
      reason ??= why;
      killing ??= killTree();
    };
    let killing: Promise<void> | undefined;
    timer = setTimeout(() => end("timeout"), agent.manifest.timeout_s * 1000);
    task.cancellation.listen(() => end("cancelled"));
    const reply = new ReplyText((text) => {
      try {
        task.onDelta(text);
        task.onPause();
      } catch (error) {
        refusal = error;
        end("refused");
      }
    });
    stdout.on("data", (chunk: Buffer) => reason === undefined && reply.add(chunk));
    stderr.on("data", (chunk: Buffer) => log.write("stderr", chunk));
    const exit = await exited;
    if (exit instanceof Error) return failed("agent_start_failed", `No process could be started: ${exit.message}`);
    await Promise.all([settle(stdout), settle(stderr), killing]);
    reply.end();
    if (reason === "refused") return refused(refusal);
    if (reason === "cancelled") return { status: "cancelled" };
    if (reason === "timeout") {
      return failed("agent_timeout", `The agent took longer than its limit of ${agent.manifest.timeout_s} s.`);
    }
    if (exit.code === 0) return { status: "done" };
    if (exit.code === null)
      return failed("agent_died", `The agent's process vanished: ${describeExit(null, exit.signal)}.`);
    const what = exit.code === 126 || exit.code === 127 ? "agent_start_failed" : "handler_failed";
    return failed(what, `The agent's program ended with exit code ${exit.code}.`);
  } finally {
    clearTimeout(timer);
    task.cancellation.listen(undefined);
    context.remove();
  }
}

/** Text of a program's stdout without its last end of line. */
class ReplyText {
  readonly #onText: (text: string) => void;
  readonly #decoder = new StringDecoder("utf8");
  #ending = "";

  constructor(onText: (text: string) => void) {
    this.#onText = onText;
  }

  add(chunk: Buffer): void {
    this.#give(this.#decoder.write(chunk));
  }

  end(): void {
    this.#give(this.#decoder.end());
    this.#ending = "";
  }

  #give(piece: string): void {
    if (piece === "") return;
    const text = this.#ending + piece;
    this.#ending = /\r?\n$|\r$/.exec(text)?.[0] ?? "";
    const ready = text.slice(0, text.length - this.#ending.length);
    if (ready !== "") this.#onText(ready);
  }
}

interface GivenContext {
  readonly environment: Readonly<Record<string, string>>;
  readonly remove: () => void;
}

/** As AGENT_CONTEXT, or as a file where it is too long for the environment. Throws DiskFullError. */
function giveContext(text: string): GivenContext {
  if (Buffer.byteLength(text) <= ARGUMENT_MAX_BYTES) {
    return { environment: { AGENT_CONTEXT: text }, remove: () => undefined };
  }
  const path = `${COMPUTER.temporary}/context-${crypto.randomUUID()}.json`;
  try {
    writeFileSync(path, text, { flag: "wx", mode: 0o644 });
  } catch (error) {
    throw isDiskFull(error) ? new DiskFullError(error) : error;
  }
  return {
    environment: { AGENT_CONTEXT_FILE: path },
    remove: () => {
      try {
        unlinkSync(path);
      } catch {
        // The agent removed it.
      }
    },
  };
}
