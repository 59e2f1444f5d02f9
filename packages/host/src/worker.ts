import type { Readable } from "node:stream";
import { type HostAgent, WORKER_LINE_MAX_BYTES, type WorkerInitialize } from "@raworc/contract";
import { type AgentOutcome, type AgentTask, describeExit, failed, refused } from "./agent-outcome.ts";
import type { AgentProcess, AgentProcesses } from "./agent-process.ts";
import { logLine } from "./host-log.ts";
import type { LogStream, MessageLog } from "./message-log.ts";
import { isRecord, RpcClosedError, RpcError, RpcPeer } from "./rpc-peer.ts";
import { SentHistory } from "./sent-history.ts";
import { allRead, settle } from "./settle.ts";
import { TaskLimits } from "./task-limits.ts";
import { workerCommand } from "./worker-command.ts";
import { failureOf, outcomeOf } from "./worker-result.ts";

export interface WorkerOptions {
  readonly processes: AgentProcesses;
  readonly agent: HostAgent;
  readonly sessionId: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Where the first prints go. */
  readonly log: MessageLog;
}

type Answer = { readonly result: unknown } | { readonly error: unknown } | "refused" | "timeout" | "cancelled";

interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** The long-lived process of one agent. Handles one message at a time. */
export class Worker {
  readonly #process: AgentProcess;
  readonly #agent: HostAgent;
  readonly #peer: RpcPeer;
  readonly #outputs: readonly Readable[];
  /** Undefined when it is ready. */
  #starting: Promise<void> | undefined;
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
    this.#outputs = [this.#print("stdout", process.output(3)), this.#print("stderr", process.output(2))];
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
    };
    this.#starting = this.#peer.request("initialize", JSON.stringify(initialize)).then((ready) => {
      this.#keepsHistory = isRecord(ready) && ready["keeps_history"] === true;
      this.#starting = undefined;
    });
    this.#starting.catch(() => undefined);
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
    const { promise: answered, resolve: answer } = Promise.withResolvers<Answer>();
    this.#onRefusal = () => answer("refused");
    const limits = new TaskLimits({
      seconds: this.#agent.manifest.timeout_s,
      cancellation: task.cancellation,
      onCancel: () => this.#peer.notify("cancel", JSON.stringify({ message_id: task.messageId })),
      onOver: answer,
    });
    try {
      this.#task = task;
      this.#ask(task).then(
        (result) => answer({ result }),
        (error: unknown) => answer({ error }),
      );
      const first = await answered;
      if (typeof first === "string") {
        await this.kill();
        return this.#endedFromOutside(first);
      }
      const outcome = "error" in first ? await this.#fromError(first.error, task) : outcomeOf(first.result, task);
      // What it printed before it answered is in the pipes.
      await allRead();
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
    await Promise.all(this.#outputs.map(settle));
  }

  /** Resolves when the process has ended. */
  async exited(): Promise<void> {
    await this.#exit;
  }

  closeLog(): void {
    this.#log.close();
  }

  /** Hands it over at once where the worker is ready. */
  async #ask({ messageId, content, context }: AgentTask): Promise<unknown> {
    try {
      if (this.#starting !== undefined) await this.#starting;
    } catch (error) {
      // A worker whose agent could not be loaded is of no use for the next message either.
      this.#ended = true;
      throw error;
    }
    const keeps = this.#keepsHistory ? this.#sent.next(context.history) : undefined;
    const head = { message_id: messageId, content, ...(keeps === undefined ? {} : { history_keeps: keeps }) };
    return this.#peer.request("message", `${JSON.stringify(head).slice(0, -1)},"context":${context.json(keeps)}}`);
  }

  #print(stream: LogStream, output: Readable): Readable {
    output.on("data", (bytes: Buffer) => this.#log.write(stream, bytes));
    output.on("error", () => undefined);
    return output;
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
      const code = failureOf(error);
      if (code === "agent_exited" || code === "agent_start_failed") await this.kill();
      return code === "cancelled" ? { status: "cancelled" } : failed(code, error.message);
    }
    // The connection is gone or carries nonsense: nothing of this worker can be trusted to go on.
    await this.kill();
    if (task.cancellation.wished) return { status: "cancelled" };
    const { code, signal } = await this.#exit;
    if (this.#process.child.pid === undefined) return failed("agent_start_failed", "No process could be started.");
    if (error instanceof RpcClosedError && error.fault !== undefined) {
      return failed("agent_died", `The agent's process broke the protocol and was ended: ${error.fault}`);
    }
    return failed("agent_died", `The agent's process vanished while it worked: ${describeExit(code, signal)}.`);
  }
}
