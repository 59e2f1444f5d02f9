import { EventEmitter } from "node:events";

export type HeaderValue = string | number;

/** Where the bytes of an answer go. */
export interface ResponseSocket {
  readonly destroyed: boolean;
  readonly writableNeedDrain: boolean;
  write(piece: string | Buffer, taken?: () => void): boolean;
  cork(): void;
  uncork(): void;
  destroy(): unknown;
}

export interface ResponseOptions {
  /** To HEAD, an answer has no body. */
  readonly method: string;
  /** The connection ends with the answer. */
  readonly last: boolean;
  /** The answer was written whole. */
  readonly onEnd: () => void;
}

/**
 * An answer. Its head goes out with the first piece of its body, each piece in one write. Emits `drain` when more can be
 * taken, and `close` once: when all was handed to the kernel, or the connection is gone.
 */
export class HttpResponse extends EventEmitter<{ drain: []; close: [] }> {
  readonly #socket: ResponseSocket;
  readonly #options: ResponseOptions;
  readonly #headers = new Map<string, HeaderValue>();
  #status = 200;
  #headersSent = false;
  #chunked = false;
  #ended = false;
  #closed = false;

  constructor(socket: ResponseSocket, options: ResponseOptions) {
    super();
    this.#socket = socket;
    this.#options = options;
  }

  /** The connection ends with the answer. */
  get last(): boolean {
    return this.#options.last;
  }

  get headersSent(): boolean {
    return this.#headersSent;
  }

  /** Nothing that is written reaches anybody. */
  get destroyed(): boolean {
    return this.#closed || this.#socket.destroyed;
  }

  get writableEnded(): boolean {
    return this.#ended;
  }

  get writableNeedDrain(): boolean {
    return this.#socket.writableNeedDrain;
  }

  setHeader(name: string, value: HeaderValue): void {
    this.#headers.set(name, value);
  }

  /** The head, which is sent with what comes next. */
  writeHead(status: number, headers: Readonly<Record<string, HeaderValue>> = {}): this {
    this.#status = status;
    for (const [name, value] of Object.entries(headers)) this.setHeader(name, value);
    return this;
  }

  /** Sends the head alone. */
  flushHeaders(): void {
    if (!this.#headersSent) this.#socket.write(this.#head());
  }

  /** False when the other side should be waited for. `taken` is called when the kernel has the piece. */
  write(piece: string | Buffer, taken?: () => void): boolean {
    return this.#write(piece, "", taken);
  }

  end(piece: string | Buffer = ""): void {
    if (this.#ended) return;
    // Without a body that is still to come, its length is known.
    if (!this.#headersSent && !this.#headers.has("content-length") && this.#status !== 204 && this.#status !== 304) {
      this.setHeader("content-length", Buffer.byteLength(piece));
    }
    this.#ended = true;
    this.#write(piece, this.#chunked ? "0\r\n\r\n" : "", () => this.closed());
    this.#options.onEnd();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** For the connection: it is gone, or all was taken. Idempotent. */
  closed(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.emit("close");
  }

  #write(piece: string | Buffer, after: string, taken?: () => void): boolean {
    const head = this.#headersSent ? "" : this.#head();
    const hasBody = this.#options.method !== "HEAD" && piece.length > 0;
    const frame = this.#chunked && hasBody;
    const before = frame ? `${head}${Buffer.byteLength(piece).toString(16)}\r\n` : head;
    const last = frame ? `\r\n${after}` : after;
    if (typeof piece === "string") return this.#socket.write(`${before}${hasBody ? piece : ""}${last}`, taken);
    this.#socket.cork();
    if (before !== "") this.#socket.write(before);
    const free = this.#socket.write(hasBody ? piece : "", taken);
    if (last !== "") this.#socket.write(last);
    this.#socket.uncork();
    return free;
  }

  #head(): string {
    this.#headersSent = true;
    const bodyless = this.#status === 204 || this.#status === 304 || this.#options.method === "HEAD";
    this.#chunked = !bodyless && !this.#headers.has("content-length");
    let text = `HTTP/1.1 ${this.#status} ${this.#status < 400 ? "OK" : "Refused"}\r\n`;
    for (const [name, value] of this.#headers) text += `${name}: ${value}\r\n`;
    if (this.#chunked) text += "transfer-encoding: chunked\r\n";
    if (this.#options.last) text += "connection: close\r\n";
    return `${text}\r\n`;
  }
}
