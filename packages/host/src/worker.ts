import { type HostAgent, WORKER_ERRORS, WORKER_LINE_MAX_BYTES, type WorkerInitialize } from "@raworc/contract";
import { type AgentOutcome, type AgentTask, describeExit, failed, failureCode, type Tokens } from "./agent-outcome.ts";
import type { AgentProcess, AgentProcesses } from "./agent-process.ts";
import { DiskFullError } from "./disk-full.ts";
import { logLine } from "./host-log.ts";
import { GRACE_MS } from "./limits.ts";
import { MarkedOutput } from "./marked-output.ts";
import type { MessageLog } from "./message-log.ts";
import { ReplyTooLongError } from "./reply.ts";
import { isRecord, RpcClosedError, RpcError, RpcPeer } from "./rpc-peer.ts";
import { SentHistory } from "./sent-history.ts";
import { settle } from "./settle.ts";
import { workerCommand } from "./worker-command.ts";

export interface WorkerOptions {
  readonly processes: AgentProcesses;
  readonly agent: HostAgent;
  readonly sessionId: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Where the first prints go. */
  readonly log: MessageLog;
}

interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** The long-lived process of one agent. Handles one message at a time. */
export class Worker {
  readonly #process: AgentProcess;
  readonly #agent: HostAgent;
  readonly #peer: RpcPeer;
  readonly #outputs: readonly MarkedOutput[];
  readonly #ready: Promise<void>;
  readonly #exit: Promise<Exit>;
  readonly #sent = new SentHistory();
  #keepsHistory = false;
  #log: MessageLog;
  #task: AgentTask | undefined;
  /** What a piece could not be kept for; ends the message that it belongs to. */
  #refusal: unknown;
  #onRefusal: (() => void) | undefined;
  #ended = false;

  private constructor(process: AgentProcess, { agent, sessionId, log }: WorkerOptions) {
    this.#agent = agent;
    this.#log = log;
    this.#process = process;
    const { child } = process;
    const input = process.output(1);
    this.#exit = new Promise((resolve) => {
      const end = (code: number | null, signal: string | null): void => {
        this.#ended = true;
        resolve({ code, signal });
        // A response may still be on its way.
        settle(input).then(
          () => this.#peer.close(),
          () => undefined,
        );
      };
      child.once("exit", end);
      child.once("error", () => end(null, null));
    });
    const marker = `raworc-${crypto.randomUUID()}`;
    this.#outputs = [
      new MarkedOutput(process.output(3), marker, (bytes) => this.#log.write("stdout", bytes)),
      new MarkedOutput(process.output(2), marker, (bytes) => this.#log.write("stderr", bytes)),
    ];
    const output = process.input(0);
    if (output === undefined) throw new Error("A worker without its stdin");
    this.#peer = new RpcPeer({
      input,
      output,
      lineMaxBytes: WORKER_LINE_MAX_BYTES,
      onNotification: (method, params) => this.#hear(method, params),
      onPause: () => this.#task?.onPause(),
    });
    const { name, path, manifest } = agent;
    const initialize: WorkerInitialize = {
      agent: name,
      path,
      handler: manifest.handler,
      session_id: sessionId,
      marker,
    };
    this.#ready = this.#peer.request("initialize", JSON.stringify(initialize)).then((ready) => {
      this.#keepsHistory = isRecord(ready) && ready["keeps_history"] === true;
    });
    this.#ready.catch(() => undefined);
    logLine("info", "worker started", { agent: name, pid: child.pid });
    void this.#exit.then(({ code, signal }) => {
      logLine("info", "worker ended", { agent: name, pid: child.pid, code, signal });
    });
  }

  static async start(options: WorkerOptions): Promise<Worker> {
    return new Worker(await options.processes.start(workerCommand(options.agent, options.environment)), options);
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** From now on prints go to this message's files. */
  switchLog(log: MessageLog): void {
    if (log === this.#log) return;
    this.#log.close();
    this.#log = log;
  }

  /** Never throws. A worker that did not answer in order is gone afterwards. */
  async handle(task: AgentTask): Promise<AgentOutcome> {
    const refusal = new Promise<"refused">((resolve) => {
      this.#onRefusal = () => resolve("refused");
    });
    const limits = new TaskLimits(this.#agent.manifest.timeout_s, task.signal, () =>
      this.#peer.notify("cancel", JSON.stringify({ message_id: task.messageId })),
    );
    try {
      this.#task = task;
      const answer = this.#answer(task).then(
        (result) => ({ result }),
        (error: unknown) => ({ error }),
      );
      const first = await Promise.race([answer, limits.over, refusal]);
      if (typeof first === "string") {
        await this.kill();
        return this.#endedFromOutside(first);
      }
      const outcome = "error" in first ? await this.#fromError(first.error, task) : fromResult(first.result, task);
      await Promise.all(this.#outputs.map((output) => output.until(task.messageId)));
      return this.#refusal === undefined ? outcome : this.#endedFromOutside("refused");
    } finally {
      limits.clear();
      this.#task = undefined;
      this.#refusal = undefined;
      this.#onRefusal = undefined;
    }
  }

  /** Asks it to end; it is not waited for. */
  terminate(): void {
    this.#process.signal("SIGTERM");
  }

  /** Kills it and all that it started. Resolves when its last prints are written. Idempotent. */
  async kill(): Promise<void> {
    this.#ended = true;
    await this.#process.killTree();
    await this.#exit;
    await Promise.all(this.#outputs.map((output) => output.until("")));
  }

  /** Resolves when the process has ended. */
  async exited(): Promise<void> {
    await this.#exit;
  }

  closeLog(): void {
    this.#log.close();
  }

  async #answer({ messageId, content, context }: AgentTask): Promise<unknown> {
    try {
      await this.#ready;
    } catch (error) {
      // A worker whose agent could not be loaded is of no use for the next message either.
      this.#ended = true;
      throw error;
    }
    const keeps = this.#keepsHistory ? this.#sent.next(context.history) : undefined;
    const head = { message_id: messageId, content, ...(keeps === undefined ? {} : { history_keeps: keeps }) };
    return this.#peer.request("message", `${JSON.stringify(head).slice(0, -1)},"context":${context.json(keeps)}}`);
  }

  #hear(method: string, params: unknown): void {
    const task = this.#task;
    if (task === undefined || this.#refusal !== undefined) return;
    const { message_id: messageId, text } = (params ?? {}) as Record<string, unknown>;
    if (messageId !== task.messageId || typeof text !== "string") return;
    try {
      if (method === "delta") task.onDelta(text);
      else if (method === "part") task.onPart(text);
    } catch (error) {
      this.#refusal = error;
      this.#onRefusal?.();
    }
  }

  #endedFromOutside(reason: "refused" | "timeout" | "cancelled"): AgentOutcome {
    if (reason === "cancelled") return { status: "cancelled" };
    if (reason === "timeout") {
      const limit = this.#agent.manifest.timeout_s;
      return failed(
        "agent_timeout",
        `The agent took longer than its limit of ${limit} s and was ended; timeout_s in raworc.json sets the limit.`,
      );
    }
    return refused(this.#refusal);
  }

  async #fromError(error: unknown, task: AgentTask): Promise<AgentOutcome> {
    if (error instanceof RpcError) {
      const code = failureCode(failureOf(error.data), failureByNumber(error.code));
      if (code === "agent_exited" || code === "agent_start_failed") await this.kill();
      return code === "cancelled" ? { status: "cancelled" } : failed(code, error.message);
    }
    // The connection is gone or carries nonsense: nothing of this worker can be trusted to go on.
    await this.kill();
    if (task.signal.aborted) return { status: "cancelled" };
    const { code, signal } = await this.#exit;
    if (this.#process.child.pid === undefined) return failed("agent_start_failed", "No process could be started.");
    if (error instanceof RpcClosedError && error.fault !== undefined) {
      return failed("agent_died", `The agent's process broke the protocol and was ended: ${error.fault}`);
    }
    return failed("agent_died", `The agent's process vanished while it worked: ${describeExit(code, signal)}.`);
  }
}

/** The time limit of a message and the wish to cancel it. */
class TaskLimits {
  readonly over: Promise<"timeout" | "cancelled">;
  readonly #signal: AbortSignal;
  readonly #timer: NodeJS.Timeout;
  #grace: NodeJS.Timeout | undefined;
  #onAbort: () => void = () => undefined;

  constructor(seconds: number, signal: AbortSignal, onCancel: () => void) {
    this.#signal = signal;
    const { promise, resolve } = Promise.withResolvers<"timeout" | "cancelled">();
    this.over = promise;
    this.#timer = setTimeout(() => resolve("timeout"), seconds * 1000);
    this.#onAbort = () => {
      onCancel();
      this.#grace = setTimeout(() => resolve("cancelled"), GRACE_MS);
    };
    if (signal.aborted) this.#onAbort();
    else signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  clear(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#grace);
    this.#signal.removeEventListener("abort", this.#onAbort);
  }
}

export function refused(error: unknown): AgentOutcome {
  if (error instanceof DiskFullError) return failed("disk_full", error.message);
  if (error instanceof ReplyTooLongError) return failed("handler_failed", `${error.message}; it was ended.`);
  return failed("server_error", "The reply could not be kept.");
}

function fromResult(result: unknown, task: AgentTask): AgentOutcome {
  const { content, tokens, cost } = (result ?? {}) as Record<string, unknown>;
  try {
    if (typeof content === "string" && content !== "") task.onPart(content);
  } catch (error) {
    return refused(error);
  }
  return {
    status: "done",
    ...(isTokens(tokens) ? { tokens } : {}),
    ...(typeof cost === "number" ? { cost } : {}),
  };
}

function isTokens(value: unknown): value is Tokens {
  if (typeof value !== "object" || value === null) return false;
  const entries = Object.entries(value);
  return entries.every(([key, count]) => (key === "input" || key === "output") && typeof count === "number");
}

function failureOf(data: unknown): unknown {
  return typeof data === "object" && data !== null && "failure" in data ? data.failure : undefined;
}

function failureByNumber(number: number): keyof typeof WORKER_ERRORS {
  const names = Object.keys(WORKER_ERRORS) as (keyof typeof WORKER_ERRORS)[];
  return names.find((name) => WORKER_ERRORS[name] === number) ?? "handler_failed";
}
