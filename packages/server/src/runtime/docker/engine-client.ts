import { Agent, type IncomingMessage, request as startRequest } from "node:http";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { DriverError, type DriverErrorOptions } from "../driver.ts";

/** The API of Engine 20.10. Newer engines speak it, or the oldest that they still speak is used. */
const API_VERSION = "1.41";
const CALL_TIMEOUT_MS = 120_000;
const PROBE_TIMEOUT_MS = 5000;
const ANSWER_MAX_BYTES = 64 * 1024 * 1024;
const MESSAGE_MAX = 1000;

const EngineVersion = z.object({ Version: z.string(), ApiVersion: z.string(), MinAPIVersion: z.string().optional() });
const EngineMessage = z.object({ message: z.string() });

export interface EngineCall {
  readonly method: "GET" | "POST" | "DELETE" | "HEAD";
  /** Below the version, `/containers/json`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** JSON, or a stream of a tar. */
  readonly body?: object | Readable;
  readonly signal?: AbortSignal;
  /** Long work has no limit but the signal's. */
  readonly long?: boolean;
}

/** The engine refused a call, or can't be reached (`status` is null then). */
export class EngineError extends DriverError {
  readonly status: number | null;

  constructor(message: string, options: DriverErrorOptions & { readonly status: number | null }) {
    super(message, options);
    this.status = options.status;
  }
}

export function isStatus(error: unknown, ...statuses: readonly number[]): boolean {
  return error instanceof EngineError && error.status !== null && statuses.includes(error.status);
}

/** Whether an engine answers at a socket. Never throws. */
export async function engineAnswers(socketPath: string | null): Promise<boolean> {
  if (socketPath === null) return false;
  const client = new EngineClient(socketPath);
  try {
    await client.version(AbortSignal.timeout(PROBE_TIMEOUT_MS));
    return true;
  } catch {
    return false;
  } finally {
    client.close();
  }
}

/** Calls the Docker Engine over its Unix socket. Throws EngineError; an aborted signal rejects with its reason. */
export class EngineClient {
  readonly #socketPath: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  #prefix: Promise<string> | undefined;
  #calls = 0;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** How many calls were made, the question for the version not counted. */
  get calls(): number {
    return this.#calls;
  }

  async version(signal?: AbortSignal): Promise<z.infer<typeof EngineVersion>> {
    const call = { method: "GET", path: "/version", ...(signal === undefined ? {} : { signal }) } as const;
    return EngineVersion.parse(JSON.parse(await readText(await this.#send(call, ""))));
  }

  /** The engine may have become another one: asks for its version anew. */
  forgetVersion(): void {
    this.#prefix = undefined;
  }

  async json<T>(call: EngineCall, schema: z.ZodType<T>): Promise<T> {
    const text = await readText(await this.stream(call));
    const parsed = schema.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    const message = `The Docker engine gave an answer to ${call.method} ${call.path} that is not understood.`;
    throw new EngineError(message, { cause: parsed.error, transient: false, status: null });
  }

  /** Undefined where the engine says that there is no such thing. */
  async find<T>(call: EngineCall, schema: z.ZodType<T>): Promise<T | undefined> {
    try {
      return await this.json(call, schema);
    } catch (error) {
      if (isStatus(error, 404)) return undefined;
      throw error;
    }
  }

  /** Makes a call whose answer doesn't matter; gives its status. These statuses of refusals are fine too. */
  async run(call: EngineCall, accepted: readonly number[] = []): Promise<number> {
    try {
      const answer = await this.stream(call);
      await readText(answer);
      return answer.statusCode ?? 0;
    } catch (error) {
      if (error instanceof EngineError && error.status !== null && accepted.includes(error.status)) return error.status;
      throw error;
    }
  }

  /** The answer as it comes. Whoever gets it reads or destroys it. */
  async stream(call: EngineCall): Promise<IncomingMessage> {
    this.#prefix ??= this.#negotiate();
    const prefix = await this.#prefix.catch((error: unknown) => {
      this.#prefix = undefined;
      throw error;
    });
    call.signal?.throwIfAborted();
    this.#calls += 1;
    const answer = await this.#send(call, prefix);
    const status = answer.statusCode ?? 0;
    if (status < 400) return answer;
    const text = await readText(answer).catch(() => "");
    const failure = EngineMessage.safeParse(parseJson(text));
    const said = (failure.success ? failure.data.message : `status ${status}`).slice(0, MESSAGE_MAX);
    const message = `The Docker engine refused ${call.method} ${call.path}: ${said}`;
    throw new EngineError(message, { transient: status >= 500 || status === 409, status });
  }

  /** Ends all calls. Idempotent. */
  close(): void {
    this.#agent.destroy();
  }

  async #negotiate(): Promise<string> {
    const { Version, ApiVersion, MinAPIVersion } = await this.version();
    if (isOlder(ApiVersion, API_VERSION)) {
      const message = `The Docker engine ${Version} is too old: Raworc needs 20.10 or newer. Update Docker.`;
      throw new EngineError(message, { transient: false, status: null });
    }
    const version = MinAPIVersion !== undefined && isOlder(API_VERSION, MinAPIVersion) ? MinAPIVersion : API_VERSION;
    return `/v${version}`;
  }

  async #send(call: EngineCall, prefix: string): Promise<IncomingMessage> {
    try {
      return await this.#request(call, prefix);
    } catch (error) {
      call.signal?.throwIfAborted();
      throw this.#unreachable(error);
    }
  }

  #request(call: EngineCall, prefix: string, again = false): Promise<IncomingMessage> {
    const { method, body } = call;
    const query = new URLSearchParams(call.query).toString();
    const path = `${prefix}${call.path}${query === "" ? "" : `?${query}`}`;
    const isStream = body !== undefined && "pipe" in body;
    const payload = body === undefined || isStream ? undefined : Buffer.from(JSON.stringify(body));
    const headers = isStream
      ? { "content-type": "application/x-tar" }
      : { "content-type": "application/json", "content-length": payload?.length ?? 0 };
    const signals = [
      ...(call.signal === undefined ? [] : [call.signal]),
      ...(call.long ? [] : [AbortSignal.timeout(CALL_TIMEOUT_MS)]),
    ];
    return new Promise((resolve, reject) => {
      const request = startRequest({
        socketPath: this.#socketPath,
        agent: this.#agent,
        method,
        path,
        headers: { host: "docker", ...headers },
        ...(signals.length === 0 ? {} : { signal: AbortSignal.any(signals) }),
      });
      request.on("response", resolve);
      request.on("error", (error) => {
        // A connection that was kept may have been closed by the engine just now: nothing of the call was heard.
        if (request.reusedSocket && !again && !isStream && isBroken(error)) {
          resolve(this.#request(call, prefix, true));
        } else reject(error);
      });
      if (isStream) pipeline(body as Readable, request).catch(reject);
      else request.end(payload);
    });
  }

  #unreachable(cause: unknown): EngineError {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    if (code === "EACCES") {
      const message = `This user may not use the Docker engine at ${this.#socketPath}. Add it to the group docker, or run as root.`;
      return new EngineError(message, { cause, transient: false, status: null });
    }
    const message = `The Docker engine does not answer at ${this.#socketPath}. Start Docker; it is tried again.`;
    return new EngineError(message, { cause, transient: true, status: null });
  }
}

async function readText(answer: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let length = 0;
  try {
    for await (const piece of answer as AsyncIterable<Buffer>) {
      length += piece.length;
      if (length > ANSWER_MAX_BYTES) throw new RangeError("The answer is longer than it may be");
      pieces.push(piece);
    }
  } catch (cause) {
    const message = "The Docker engine broke off in the middle of an answer; it is tried again.";
    throw new EngineError(message, { cause, transient: true, status: null });
  }
  return Buffer.concat(pieces, length).toString("utf8");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isBroken(error: Error): boolean {
  return "code" in error && (error.code === "ECONNRESET" || error.code === "EPIPE");
}

function isOlder(version: string, than: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [thanMajor = 0, thanMinor = 0] = than.split(".").map(Number);
  return major !== thanMajor ? major < thanMajor : minor < thanMinor;
}
