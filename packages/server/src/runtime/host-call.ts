import type { Socket } from "node:net";
import { type BodyReader, bodyReader, HttpError, readHeaders } from "@raworc/contract";

/** Bytes of an answer that wait for whoever reads it, before the host has to. */
const AHEAD_MAX_BYTES = 256 * 1024;
const HEAD_MAX_BYTES = 64 * 1024;
const HEAD_END = "\r\n\r\n";
/** What is left of an answer that nobody reads to its end has so long to come. */
const END_GRACE_MS = 1000;
const NOTHING: Buffer = Buffer.alloc(0);

export interface HostCallOptions {
  readonly signal: AbortSignal;
  /** The answer has come whole, and nothing behind it: the connection can take another call. */
  readonly onFree: () => void;
}

/**
 * One call over a connection of its own for so long, and its answer as it comes: Node.js's client takes several times as long
 * for it. The answer comes out of a session, so it is bounded, and what is not understood ends the connection.
 */
export class HostCall {
  readonly #socket: Socket;
  readonly #options: HostCallOptions;
  readonly #onAbort = (): void => this.#fail(this.#options.signal.reason);
  readonly #pieces: Buffer[] = [];
  #ahead = 0;
  /** Bytes of a head that has not come whole. */
  #held: Buffer = NOTHING;
  #status: number | undefined;
  #body: BodyReader | undefined;
  #isLast = false;
  #isEnded = false;
  #isLeft = false;
  #error: unknown;
  #waiting: { readonly resolve: () => void; readonly reject: (error: unknown) => void } | undefined;
  #grace: NodeJS.Timeout | undefined;

  constructor(socket: Socket, request: string, body: string, options: HostCallOptions) {
    this.#socket = socket;
    this.#options = options;
    options.signal.addEventListener("abort", this.#onAbort);
    socket.write(request + body);
  }

  /** Resolves with the answer's head. Rejects with the signal's reason, or with what befell the connection. */
  async status(): Promise<number> {
    while (this.#status === undefined) await this.#change();
    return this.#status;
  }

  /** The next bytes of the body; undefined when it has ended. */
  async next(): Promise<Buffer | undefined> {
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece !== undefined) {
        this.#ahead -= piece.length;
        if (this.#ahead < AHEAD_MAX_BYTES) this.#socket.resume();
        return piece;
      }
      if (this.#isEnded) return undefined;
      await this.#change();
    }
  }

  /** Nothing more of the answer is wanted. Where only its end is `due`, the connection is kept for that. Idempotent. */
  leave({ due }: { readonly due: boolean }): void {
    if (this.#isLeft) return;
    this.#isLeft = true;
    if (this.#isEnded) return;
    this.#pieces.length = 0;
    this.#ahead = 0;
    this.#socket.resume();
    if (!due) this.#fail(new Error("The answer was left"));
    else this.#grace = setTimeout(() => this.#fail(new Error("The answer did not end")), END_GRACE_MS);
  }

  /** For the connection: what has come. */
  take(bytes: Buffer): void {
    try {
      if (this.#body === undefined) this.#takeHead(bytes);
      else this.#takeBody(this.#body, bytes);
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#wake();
  }

  /** For the connection: it is gone. */
  broken(error: unknown): void {
    this.#fail(error);
  }

  #takeHead(bytes: Buffer): void {
    const all = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    const end = all.indexOf(HEAD_END);
    if (end === -1 ? all.length > HEAD_MAX_BYTES : end > HEAD_MAX_BYTES) throw new HttpError("A head is too long");
    this.#held = end === -1 ? all : NOTHING;
    if (end === -1) return;
    const [first = "", ...lines] = all.toString("latin1", 0, end).split("\r\n");
    const status = /^HTTP\/1\.1 ([2-5]\d\d)(?: |$)/.exec(first)?.[1];
    if (status === undefined) throw new HttpError("No answer of HTTP/1.1");
    const headers = readHeaders(lines);
    this.#status = Number(status);
    this.#isLast = headers["connection"]?.toLowerCase() === "close";
    this.#body = bodyReader(headers);
    this.#takeBody(this.#body, all.subarray(end + HEAD_END.length));
  }

  #takeBody(body: BodyReader, bytes: Buffer): void {
    if (this.#isEnded) throw new HttpError("An answer is longer than it said");
    const rest = body(bytes, (piece) => {
      if (this.#isLeft) return;
      this.#pieces.push(piece);
      this.#ahead += piece.length;
    });
    if (this.#ahead > AHEAD_MAX_BYTES) this.#socket.pause();
    if (rest === undefined) return;
    if (rest.length > 0) throw new HttpError("Bytes behind an answer");
    this.#isEnded = true;
    this.#release();
    if (this.#isLast) this.#socket.destroy();
    else {
      this.#socket.resume();
      this.#options.onFree();
    }
  }

  #change(): Promise<void> {
    if (this.#error !== undefined) return Promise.reject(this.#error);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve();
  }

  #fail(error: unknown): void {
    if (this.#isEnded || this.#error !== undefined) return;
    this.#error = error ?? new Error("The connection was closed");
    this.#release();
    this.#socket.destroy();
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(this.#error);
  }

  #release(): void {
    clearTimeout(this.#grace);
    this.#options.signal.removeEventListener("abort", this.#onAbort);
  }
}
