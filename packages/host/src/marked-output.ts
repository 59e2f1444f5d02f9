import type { Readable } from "node:stream";
import { settle } from "./settle.ts";

const LF = 0x0a;

/**
 * What a worker prints, without the adapter's marks. A mark is `{marker} {message id}` up to the end of the line, and may
 * follow a line that the agent did not end.
 */
export class MarkedOutput {
  readonly #source: Readable;
  readonly #marker: Buffer;
  readonly #write: (bytes: Buffer) => void;
  #held: Buffer = Buffer.alloc(0);
  #marked: string | undefined;
  #onMark: (() => void) | undefined;

  constructor(source: Readable, marker: string, write: (bytes: Buffer) => void) {
    this.#source = source;
    this.#marker = Buffer.from(marker);
    this.#write = write;
    source.on("data", (chunk: Buffer) => this.#take(chunk));
    source.on("error", () => undefined);
    source.on("close", () => this.#end());
  }

  /** Resolves when all prints of the message were written: at its mark, or when a worker without marks is quiet. */
  async until(messageId: string): Promise<void> {
    if (this.#marked === messageId || this.#source.closed) return;
    const mark = new Promise<void>((resolve) => {
      this.#onMark = resolve;
    });
    await Promise.race([mark, settle(this.#source)]);
    this.#onMark = undefined;
  }

  #take(chunk: Buffer): void {
    let rest = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = Buffer.alloc(0);
    for (let at = rest.indexOf(this.#marker); at !== -1; at = rest.indexOf(this.#marker)) {
      const end = rest.indexOf(LF, at);
      // An agent that learned its marker could keep a line open for ever: then it is no mark.
      if (end === -1 && rest.length - at < 1024) {
        this.#write(rest.subarray(0, at));
        this.#held = Buffer.from(rest.subarray(at));
        return;
      }
      if (end === -1) break;
      this.#write(rest.subarray(0, at));
      this.#marked = rest.toString("utf8", at + this.#marker.length + 1, end);
      this.#onMark?.();
      rest = rest.subarray(end + 1);
    }
    const open = this.#beginningOfMark(rest);
    this.#write(rest.subarray(0, rest.length - open));
    if (open > 0) this.#held = Buffer.from(rest.subarray(rest.length - open));
  }

  /** How many bytes at the end may be the beginning of a mark. */
  #beginningOfMark(bytes: Buffer): number {
    for (let length = Math.min(this.#marker.length - 1, bytes.length); length > 0; length -= 1) {
      if (bytes.subarray(bytes.length - length).equals(this.#marker.subarray(0, length))) return length;
    }
    return 0;
  }

  #end(): void {
    this.#write(this.#held);
    this.#held = Buffer.alloc(0);
    this.#onMark?.();
  }
}
