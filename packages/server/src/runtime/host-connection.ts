import { Agent, type IncomingMessage, type OutgoingHttpHeaders, request as startRequest } from "node:http";
import type { Socket } from "node:net";
import { join } from "node:path";
import { pipeline, type Readable } from "node:stream";
import { text as readAll } from "node:stream/consumers";
import {
  COMPUTER,
  type ErrorCode,
  type HostClaim,
  type HostExec,
  HostExecLine,
  HostFailure,
  HostHealth,
  type HostMessage,
  HostMessageLine,
  RaworcError,
} from "@raworc/contract";
import { z } from "zod";
import { DriverError } from "./driver.ts";
import type { HostCall } from "./host-call.ts";
import { HostCalls, type JsonCall } from "./host-calls.ts";
import { JsonLines, LineError, readJsonLines } from "./ndjson.ts";

/** An end line holds a reply of 4 MiB, each byte of which JSON may write as six. */
const LINE_MAX_BYTES = 26 * 1024 * 1024;
const ANSWER_MAX_BYTES = 256 * 1024;
const CALL_TIMEOUT_MS = 30_000;
const Beat = z.object({ type: z.literal("beat") });
const MessageLineOrBeat = z.union([HostMessageLine, Beat]);

export interface HostRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: OutgoingHttpHeaders;
  /** The answer outlives this connection's closing: it ends by itself, with the signal or the host. */
  readonly lasting?: boolean;
  /** Bytes that are sent as they come, in the place of a body. */
  readonly stream?: Readable;
  readonly signal: AbortSignal;
}

/** Refusals of a host that are about what the caller asked for. All others are the host's own trouble. */
const PASSED_ON = [
  "conflict",
  "disk_full",
  "forbidden",
  "not_a_file",
  "not_found",
  "not_ready",
  "port_unreachable",
  "precondition_failed",
  "range_not_satisfiable",
  "too_large",
  "validation_failed",
] as const satisfies readonly ErrorCode[];
const DETAIL_MAX = 2000;

/**
 * Talks to the host of one computer over its Unix socket. Answers come out of a session: they are bounded and checked.
 * A host that can't be reached or answers nonsense is a transient DriverError; an aborted signal rejects with its reason.
 */
export class HostConnection {
  readonly #socketPath: string;
  /** For what is short and comes often. */
  readonly #calls: HostCalls;
  /** For what carries bytes or lasts. */
  readonly #agent = new Agent({ keepAlive: true });

  /** The machine's side of the computer's socket directory. */
  constructor(socketDirectory: string) {
    this.#socketPath = join(socketDirectory, COMPUTER.hostSocket);
    this.#calls = new HostCalls(this.#socketPath);
  }

  async health(signal: AbortSignal): Promise<HostHealth> {
    const health = HostHealth.safeParse(parseJson(await this.#text({ method: "GET", path: "/health", signal })));
    if (health.success) return health.data;
    throw unreachable(health.error);
  }

  /** Resolves when the host has ended. Rejects when the host can't be reached, or with the signal. */
  async watch(signal: AbortSignal): Promise<void> {
    const answer = await this.#open({ method: "GET", path: "/watch", signal });
    await new Promise<void>((resolve) => {
      answer.on("close", resolve);
      answer.on("error", () => undefined);
      answer.resume();
    });
    signal.throwIfAborted();
  }

  /** Hands over identity, environment and agents; again for the same session it replaces the last two. */
  async claim(claim: HostClaim, signal: AbortSignal): Promise<void> {
    await this.#text({ method: "POST", path: "/claim", body: claim, signal: bounded(signal) });
  }

  /**
   * The lines of an answer from line `from` on. The host runs a message id once, however often it is posted. `onOpen` is
   * called when the host knows the message.
   */
  message(
    message: HostMessage,
    { from, onOpen, signal }: { readonly from: number; readonly signal: AbortSignal; readonly onOpen?: () => void },
  ): AsyncGenerator<HostMessageLine> {
    const call = { method: "POST", path: `/messages?from=${from}`, body: message, signal } as const;
    const read = (value: unknown): HostMessageLine | undefined => {
      const line = MessageLineOrBeat.parse(value);
      return line.type === "beat" ? undefined : line;
    };
    return this.#callLines(call, { read, onOpen, last: "end" });
  }

  async cancelMessage(id: string, signal: AbortSignal): Promise<void> {
    const path = `/messages/${encodeURIComponent(id)}/cancel`;
    await this.#text({ method: "POST", path, body: {}, signal: bounded(signal) }, [404]);
  }

  /** The ends of these messages are recorded, so the host's journal may forget them. */
  async forgetMessages(ids: readonly string[], signal: AbortSignal): Promise<void> {
    await this.#text({ method: "POST", path: "/messages/forget", body: { ids }, signal: bounded(signal) });
  }

  /** Runs a command. Leaving the iteration, or the signal, kills all that it started. */
  exec(request: HostExec, signal: AbortSignal): AsyncGenerator<HostExecLine> {
    const call = { method: "POST", path: "/exec", body: request, signal } as const;
    return this.#callLines(call, { read: (value) => HostExecLine.parse(value), last: "exit" });
  }

  /** Asks the host to end everything and itself. */
  async shutdown(signal: AbortSignal): Promise<void> {
    await this.#text({ method: "POST", path: "/shutdown", body: {}, signal });
  }

  /** One call. An answer with a status of 400 or more is thrown as what it means. */
  open(request: HostRequest): Promise<IncomingMessage> {
    return this.#open(request);
  }

  /** One call whose answer is a short JSON text. */
  async json<T>(request: HostRequest, schema: z.ZodType<T>, maxBytes = ANSWER_MAX_BYTES): Promise<T> {
    return this.readJson(await this.#open(request), schema, request.signal, maxBytes);
  }

  /** Reads an answer that is a short JSON text. */
  async readJson<T>(
    answer: IncomingMessage,
    schema: z.ZodType<T>,
    signal: AbortSignal,
    maxBytes = ANSWER_MAX_BYTES,
  ): Promise<T> {
    const result = schema.safeParse(parseJson(await readBounded(answer, signal, maxBytes)));
    if (result.success) return result.data;
    throw unreachable(result.error);
  }

  /** The checked lines of a call's answer. `onOpen` is called before the first. */
  async *lines<T>(request: HostRequest, schema: z.ZodType<T>, onOpen: () => void): AsyncGenerator<T> {
    const answer = await this.#open(request);
    onOpen();
    yield* this.#lines(answer, schema, request.signal);
  }

  /** Turns a call into a connection for bytes. It ends with the signal or the host, whatever becomes of this object. */
  async upgrade(noun: "ports" | "terminals", rest: string, signal: AbortSignal): Promise<Socket> {
    signal.throwIfAborted();
    const path = `/${noun}/${rest}`;
    const headers = { connection: "Upgrade", upgrade: `raworc-${noun}` };
    const call = startRequest({ socketPath: this.#socketPath, agent: false, path, headers, signal });
    const upgraded = new Promise<Socket>((resolve, reject) => {
      call.on("upgrade", (_answer, socket: Socket, head) => {
        if (head.length > 0) socket.unshift(head);
        resolve(socket);
      });
      call.on("response", (answer) => {
        readBounded(answer, signal).then((text) => reject(refusal(answer.statusCode ?? 0, text)), reject);
      });
      call.on("error", (error) => reject(signal.aborted ? signal.reason : unreachable(error)));
    });
    call.end();
    const socket = await upgraded;
    const end = (): void => void socket.destroy();
    signal.addEventListener("abort", end, { once: true });
    socket.on("error", () => undefined);
    socket.once("close", () => signal.removeEventListener("abort", end));
    if (signal.aborted) end();
    return socket;
  }

  /** Ends all calls, but no connection that one was turned into. Idempotent. */
  close(): void {
    this.#calls.close();
    this.#agent.destroy();
  }

  async *#lines<T>(answer: IncomingMessage, schema: z.ZodType<T>, signal: AbortSignal): AsyncGenerator<T> {
    try {
      for await (const value of readJsonLines(answer, LINE_MAX_BYTES)) yield schema.parse(value);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof LineError || error instanceof z.ZodError || isConnectionError(error)) {
        throw unreachable(error);
      }
      throw error;
    } finally {
      answer.destroy();
    }
  }

  /** The lines of a call's answer that `read` gives something of. After one of the type `last` nothing comes but the end. */
  async *#callLines<T extends { readonly type: string }>(
    request: JsonCall,
    {
      last,
      onOpen,
      read,
    }: {
      readonly read: (value: unknown) => T | undefined;
      readonly last: string;
      readonly onOpen?: (() => void) | undefined;
    },
  ): AsyncGenerator<T> {
    const call = await this.#call(request);
    onOpen?.();
    const lines = new JsonLines(LINE_MAX_BYTES);
    let due = false;
    try {
      for (let piece = await call.next(); piece !== undefined; piece = await call.next()) {
        for (const value of lines.take(piece)) {
          const line = read(value);
          due ||= line?.type === last;
          if (line !== undefined) yield line;
        }
      }
      lines.end();
    } catch (error) {
      request.signal.throwIfAborted();
      throw unreachable(error);
    } finally {
      call.leave({ due });
    }
  }

  async #text(request: JsonCall, accepted: readonly number[] = []): Promise<string> {
    return readText(await this.#call(request, accepted), request.signal);
  }

  /** A call whose answer has a status below 400, or an accepted one. All others are thrown as what they mean. */
  async #call(request: JsonCall, accepted: readonly number[] = []): Promise<HostCall> {
    const { signal } = request;
    signal.throwIfAborted();
    const call = this.#calls.begin(request);
    const status = await call.status().catch((error: unknown) => {
      signal.throwIfAborted();
      throw unreachable(error);
    });
    if (status < 400 || accepted.includes(status)) return call;
    throw refusal(status, await readText(call, signal));
  }

  async #open(request: HostRequest, accepted: readonly number[] = []): Promise<IncomingMessage> {
    const { signal } = request;
    signal.throwIfAborted();
    const answer = await this.#send(request).catch((error: unknown) => {
      signal.throwIfAborted();
      throw unreachable(error);
    });
    const status = answer.statusCode ?? 0;
    if (status < 400 || accepted.includes(status)) return answer;
    throw refusal(status, await readBounded(answer, signal));
  }

  #send({ method, path, body, headers, lasting, signal, stream }: HostRequest): Promise<IncomingMessage> {
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    return new Promise((resolve, reject) => {
      const own = payload === undefined ? {} : { "content-type": "application/json", "content-length": payload.length };
      const call = startRequest({
        socketPath: this.#socketPath,
        agent: lasting === true ? false : this.#agent,
        method,
        path,
        headers: { ...own, ...headers },
        signal,
      });
      call.on("error", reject);
      call.on("response", (answer) => {
        // An answer that comes before all was sent is a refusal: the rest need not be sent.
        if (stream !== undefined && !call.writableFinished) answer.once("close", () => call.destroy());
        resolve(answer);
      });
      if (stream === undefined) call.end(payload);
      else pipeline(stream, call, () => undefined);
    });
  }
}

/** What an answer with a status of 400 or more means. */
function refusal(status: number, text: string): Error {
  const failure = HostFailure.safeParse(parseJson(text));
  const { code, message } = failure.success ? failure.data.error : { code: "", message: `status ${status}` };
  const detail = message.slice(0, DETAIL_MAX);
  const passed = PASSED_ON.find((known) => known === code);
  if (passed !== undefined) return new RaworcError(passed, detail);
  return new DriverError(`The session's host refused a call: ${detail}`, { transient: status >= 500 });
}

async function readText(call: HostCall, signal: AbortSignal): Promise<string> {
  const pieces: Buffer[] = [];
  let length = 0;
  try {
    for (let piece = await call.next(); piece !== undefined; piece = await call.next()) {
      length += piece.length;
      if (length > ANSWER_MAX_BYTES) throw new LineError("An answer is longer than it may be");
      pieces.push(piece);
    }
  } catch (error) {
    call.leave({ due: false });
    signal.throwIfAborted();
    throw unreachable(error);
  }
  return Buffer.concat(pieces).toString("utf8");
}

function bounded(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(CALL_TIMEOUT_MS)]);
}

async function readBounded(answer: IncomingMessage, signal: AbortSignal, maxBytes = ANSWER_MAX_BYTES): Promise<string> {
  let length = 0;
  answer.on("data", (piece: Buffer) => {
    length += piece.length;
    if (length > maxBytes) answer.destroy(new LineError("An answer is longer than it may be"));
  });
  try {
    return await readAll(answer);
  } catch (error) {
    signal.throwIfAborted();
    throw unreachable(error);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isConnectionError(error: unknown): boolean {
  return error instanceof Error && "code" in error && typeof error.code === "string";
}

function unreachable(cause: unknown): DriverError {
  return new DriverError("The session's host can't be reached; it is tried again.", { cause, transient: true });
}
