import type { Readable } from "node:stream";
import type { HostExec, HostExecLine } from "@raworc/contract";
import type { AgentProcess, AgentProcesses } from "./agent-process.ts";
import type { HttpResponse } from "./http-response.ts";
import { OutputEncoder } from "./output-encoder.ts";
import { RequestError } from "./requests.ts";
import { settle } from "./settle.ts";

const TIMEOUT_MAX_MS = 2 ** 31 - 1;

/**
 * Runs a command and answers with its output as it comes. A slow reader slows the command by its pipes. When the connection
 * closes early or the time is up, all that the command started is killed; after a normal end, what it left in the
 * background lives on, and what that still prints into the pipes is dropped.
 */
export async function runCommand(
  processes: AgentProcesses,
  request: HostExec,
  environment: Readonly<Record<string, string>>,
  response: HttpResponse,
): Promise<void> {
  const started = await processes.start({
    words: typeof request.command === "string" ? ["sh", "-c", request.command] : request.command,
    cwd: request.cwd,
    environment,
    descriptors: [request.stdin === undefined ? "ignore" : "pipe", "output", "output"],
  });
  const { child } = started;
  const exit = new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
    child.once("error", reject);
  });
  const stdin = started.input(0);
  stdin?.on("error", () => undefined);
  stdin?.end(request.stdin);
  const ending = new Ending(started, request.timeout_s);
  if (response.destroyed) ending.abandon();
  const onClose = (): void => ending.abandon();
  response.once("close", onClose);
  try {
    const stdout = started.output(1);
    const stderr = started.output(2);
    if (child.pid === undefined) {
      for (const output of [stdout, stderr]) output.destroy();
      // Nothing was answered yet, so the failure still can be.
      await exit;
    }
    const sender = new Sender(response, [stdout, stderr]);
    sender.forward("stdout", stdout);
    sender.forward("stderr", stderr);
    const { code, signal } = await exit;
    ending.ended();
    // Whoever hears of an end by the time limit finds nothing of it running any more.
    await ending.done;
    await Promise.all([settle(stdout), settle(stderr)]);
    sender.end({ type: "exit", exit_code: code, signal, timed_out: ending.timedOut });
  } catch (error) {
    if (child.pid !== undefined) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new RequestError(503, "not_ready", `No process could be started (${reason}): are there too many already?`);
  } finally {
    ending.ended();
    response.off("close", onClose);
  }
}

/** Decides when a command is ended from outside, once. */
class Ending {
  readonly #started: AgentProcess;
  readonly #timer: NodeJS.Timeout;
  #over = false;
  timedOut = false;
  /** The kill, where there was one. */
  done: Promise<void> = Promise.resolve();

  constructor(started: AgentProcess, seconds: number) {
    this.#started = started;
    this.#timer = setTimeout(() => this.#kill(true), Math.min(seconds * 1000, TIMEOUT_MAX_MS));
  }

  abandon(): void {
    this.#kill(false);
  }

  ended(): void {
    this.#over = true;
    clearTimeout(this.#timer);
  }

  #kill(timedOut: boolean): void {
    if (this.#over) return;
    this.ended();
    this.timedOut = timedOut;
    this.done = this.#started.killTree();
  }
}

class Sender {
  readonly #response: HttpResponse;
  readonly #sources: readonly Readable[];
  readonly #encoders = { stdout: new OutputEncoder(), stderr: new OutputEncoder() };
  #open = true;

  constructor(response: HttpResponse, sources: readonly Readable[]) {
    this.#response = response;
    this.#sources = sources;
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    response.on("drain", () => this.#resume());
    // Nobody reads any more: what still comes is dropped, so nothing that lives on is held up.
    response.on("close", () => {
      this.#open = false;
      this.#resume();
    });
  }

  forward(type: "stdout" | "stderr", source: Readable): void {
    source.on("error", () => undefined);
    source.on("data", (chunk: Buffer) => {
      if (this.#open) this.#write(this.#encoders[type].encode(chunk).map((piece) => ({ type, ...piece })));
    });
  }

  end(line: HostExecLine): void {
    for (const type of ["stdout", "stderr"] as const) {
      this.#write(this.#encoders[type].flush().map((piece) => ({ type, ...piece })));
    }
    this.#open = false;
    this.#response.end(`${JSON.stringify(line)}\n`);
    this.#resume();
  }

  #write(lines: readonly HostExecLine[]): void {
    for (const line of lines) {
      if (this.#response.write(`${JSON.stringify(line)}\n`)) continue;
      for (const source of this.#sources) source.pause();
    }
  }

  #resume(): void {
    for (const source of this.#sources) source.resume();
  }
}
