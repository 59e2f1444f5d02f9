import type { HttpHead } from "./http-head.ts";

/** So much of a body waits for its reader; then the sender waits. */
const HELD_MAX_BYTES = 64 * 1024;

/** A call as it comes: its head is there, its body on its way. */
export class HttpRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: HttpHead["headers"];
  readonly #flow: (on: boolean) => void;
  #pieces: Buffer[] = [];
  #held = 0;
  #waits = false;
  #complete = false;
  #dropped = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  /** `flow` lets the sender go on, or wait. */
  constructor({ method, target, headers }: HttpHead, flow: (on: boolean) => void) {
    this.method = method;
    this.target = target;
    this.headers = headers;
    this.#flow = flow;
  }

  /** Whether the whole body has come. */
  get complete(): boolean {
    return this.#complete;
  }

  /** The body's bytes as they come, to one reader. Rejects when the connection breaks before the end. */
  async *pieces(): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      const pieces = this.#take();
      yield* pieces;
      if (this.#failure !== undefined) throw this.#failure;
      if (pieces.length === 0 && this.#complete) return;
      if (pieces.length === 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  /** The whole body; undefined where it is longer. */
  async read(maxBytes: number): Promise<Buffer | undefined> {
    const pieces: Buffer[] = [];
    let length = 0;
    const keep = (piece: Buffer): boolean => {
      length += piece.length;
      if (length <= maxBytes) pieces.push(piece);
      return length <= maxBytes;
    };
    // Most have come with their heads.
    if (this.#complete) this.#take().every(keep);
    else {
      for await (const piece of this.pieces()) {
        if (!keep(piece)) break;
      }
    }
    if (length > maxBytes) return undefined;
    const [first] = pieces;
    return first !== undefined && pieces.length === 1 ? first : Buffer.concat(pieces, length);
  }

  /** What of the body was not read is not kept: neither what has come nor what still comes. */
  drop(): void {
    this.#dropped = true;
    this.#take();
  }

  /** For the connection: the next bytes. */
  push(piece: Buffer): void {
    if (this.#dropped) return;
    this.#pieces.push(piece);
    this.#held += piece.length;
    if (this.#held > HELD_MAX_BYTES && !this.#waits) {
      this.#waits = true;
      this.#flow(false);
    }
    this.#wake?.();
  }

  /** For the connection: nothing more comes, after a failure not all of it. Idempotent. */
  end(failure?: Error): void {
    if (this.#complete || this.#failure !== undefined) return;
    if (failure === undefined) this.#complete = true;
    else this.#failure = failure;
    this.#wake?.();
  }

  #take(): Buffer[] {
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#held = 0;
    if (this.#waits) {
      this.#waits = false;
      this.#flow(true);
    }
    return pieces;
  }
}
