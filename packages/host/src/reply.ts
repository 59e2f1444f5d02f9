import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { COMPUTER } from "@raworc/contract";
import { DiskFullError, isDiskFull } from "./disk-full.ts";
import { REPLY_FILE_MAX_BYTES, REPLY_KEPT_BYTES } from "./limits.ts";
import { incompleteBytes } from "./output-encoder.ts";

/** The reply grew beyond all sense. */
export class ReplyTooLongError extends Error {
  override readonly name = "ReplyTooLongError";
}

/**
 * A reply as it grows. Memory holds its first REPLY_KEPT_BYTES; when it gets longer, all of it goes to a file below
 * the session's logs.
 */
export class Reply {
  readonly #stem: string;
  readonly #kept: Buffer[] = [];
  #keptBytes = 0;
  #bytes = 0;
  #file: number | undefined;
  #truncated = false;
  #removed = false;
  /** First half of a character that a piece ended with. */
  #half = "";

  /** `stem`: relative to the session's folder, the file's name without its ending. */
  constructor(stem: string) {
    this.#stem = stem;
  }

  get truncated(): boolean {
    return this.#truncated;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Relative to the session's folder; null while the reply fits. */
  get file(): string | null {
    return this.#truncated && !this.#removed ? this.#fileName : null;
  }

  get #fileName(): string {
    return `${this.#stem}_reply.txt`;
  }

  /** Gives back what of the text is kept, for showing it. Throws DiskFullError and ReplyTooLongError. */
  add(text: string): string {
    const all = this.#half + text;
    const last = all.charCodeAt(all.length - 1);
    const split = last >= 0xd800 && last <= 0xdbff;
    this.#half = split ? all.slice(-1) : "";
    return this.#addBytes(Buffer.from(split ? all.slice(0, -1) : all));
  }

  /** The reply, or its beginning. Nothing can be added afterwards. */
  end(): string {
    if (this.#half !== "") this.#addBytes(Buffer.from(this.#half));
    this.#half = "";
    this.close();
    return Buffer.concat(this.#kept).toString("utf8");
  }

  /** Idempotent. */
  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #addBytes(bytes: Buffer): string {
    this.#bytes += bytes.length;
    if (!this.#truncated && this.#bytes <= REPLY_KEPT_BYTES) return this.#keep(bytes);
    if (this.#bytes > REPLY_FILE_MAX_BYTES) {
      throw new ReplyTooLongError(`The reply is longer than ${REPLY_FILE_MAX_BYTES} bytes`);
    }
    try {
      if (this.#file === undefined) this.#openFile();
      this.#write(bytes);
    } catch (error) {
      // A beginning is of no use to anybody, and takes the space.
      this.close();
      rmSync(`${COMPUTER.session}/${this.#fileName}`, { force: true });
      this.#removed = true;
      throw isDiskFull(error) ? new DiskFullError(error) : error;
    }
    if (this.#truncated) return "";
    this.#truncated = true;
    const fitting = bytes.subarray(0, REPLY_KEPT_BYTES - this.#keptBytes);
    return this.#keep(fitting.subarray(0, fitting.length - incompleteBytes(fitting)));
  }

  #keep(bytes: Buffer): string {
    this.#kept.push(bytes);
    this.#keptBytes += bytes.length;
    return bytes.toString("utf8");
  }

  #openFile(): void {
    this.#file = openSync(`${COMPUTER.session}/${this.#fileName}`, "wx", 0o644);
    for (const piece of this.#kept) this.#write(piece);
  }

  #write(bytes: Buffer): void {
    if (this.#file === undefined) return;
    for (let written = 0; written < bytes.length; ) written += writeSync(this.#file, bytes, written);
  }
}
