import type { Readable, Writable } from "node:stream";
import { splitLines } from "./line-frames.ts";

/** The other side answered with an error. `data` is what it sent, unchecked. */
export class RpcError extends Error {
  override readonly name = "RpcError";
  readonly code: number;
  readonly data: unknown;

  constructor(code: number, message: string, data: unknown) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

/** The connection ended, or the other side said what is no JSON-RPC. All open calls fail with it. */
export class RpcClosedError extends Error {
  override readonly name = "RpcClosedError";
  /** What the other side did wrong. */
  readonly fault: string | undefined;

  constructor(fault?: string) {
    super(fault ?? "The connection ended");
    this.fault = fault;
  }
}

export interface RpcPeerOptions {
  readonly input: Readable;
  readonly output: Writable;
  readonly lineMaxBytes: number;
  readonly onNotification: (method: string, params: unknown) => void;
  /** After all notifications of one chunk: what came together can be passed on together. */
  readonly onPause: () => void;
}

interface Call {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** One end of a JSON-RPC 2.0 connection that calls and hears notifications. */
export class RpcPeer {
  readonly #options: RpcPeerOptions;
  readonly #calls = new Map<number, Call>();
  #lastId = 0;
  #closed: RpcClosedError | undefined;

  constructor(options: RpcPeerOptions) {
    this.#options = options;
    const split = splitLines(options.lineMaxBytes);
    options.input.on("data", (chunk: Buffer) => {
      if (this.#closed !== undefined) return;
      try {
        for (const line of split(chunk)) this.#take(line);
      } catch (error) {
        this.close(error instanceof Error ? error.message : String(error));
      }
      options.onPause();
    });
    options.input.on("error", () => this.close());
    options.input.on("close", () => this.close());
    options.output.on("error", () => undefined);
  }

  /** `params` is JSON. */
  request(method: string, params: string): Promise<unknown> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
      this.#options.output.write(`{"jsonrpc":"2.0","id":${id},"method":"${method}","params":${params}}\n`);
    });
  }

  notify(method: string, params: string): void {
    if (this.#closed === undefined)
      this.#options.output.write(`{"jsonrpc":"2.0","method":"${method}","params":${params}}\n`);
  }

  /** Fails all open calls. Idempotent. */
  close(fault?: string): void {
    if (this.#closed !== undefined) return;
    this.#closed = new RpcClosedError(fault);
    for (const call of this.#calls.values()) call.reject(this.#closed);
    this.#calls.clear();
  }

  #take(line: Buffer): void {
    if (line.length === 0) return;
    const message: unknown = JSON.parse(line.toString("utf8"));
    if (!isRecord(message)) throw new Error("A line is no JSON-RPC message");
    if (typeof message["method"] === "string") {
      if (message["id"] === undefined) this.#options.onNotification(message["method"], message["params"]);
      return;
    }
    const call = this.#calls.get(Number(message["id"]));
    if (call === undefined) return;
    this.#calls.delete(Number(message["id"]));
    const error = message["error"];
    if (isRecord(error)) call.reject(new RpcError(Number(error["code"]), String(error["message"]), error["data"]));
    else call.resolve(message["result"]);
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
