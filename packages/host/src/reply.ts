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
  #kept = "";
  #keptBytes = 0;
  #bytes = 0;
  #file: number | undefined;
  #fileName = "";
  #truncated = false;
  #removed = false;
  /** First half of a character that a piece ended with. */
  #half = "";

  /** `stem`: the file's name without its ending, relative to the session's folder. */
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

  /** Gives back what of the text is kept, for showing it. Throws DiskFullError and ReplyTooLongError. */
  add(text: string): string {
    const all = this.#half + text;
    const last = all.charCodeAt(all.length - 1);
    const split = last >= 0xd800 && last <= 0xdbff;
    this.#half = split ? all.slice(-1) : "";
    return this.#addWhole(split ? all.slice(0, -1) : all);
  }

  /** The reply, or its beginning. Nothing can be added afterwards. */
  end(): string {
    if (this.#half !== "") this.#addWhole(this.#half);
    this.#half = "";
    this.close();
    return this.#kept;
  }

  /** Idempotent. */
  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #addWhole(given: string): string {
    const text = given.toWellFormed();
    const length = Buffer.byteLength(text);
    this.#bytes += length;
    if (!this.#truncated && this.#bytes <= REPLY_KEPT_BYTES) return this.#keep(text, length);
    if (this.#bytes > REPLY_FILE_MAX_BYTES) {
      throw new ReplyTooLongError(`The reply is longer than ${REPLY_FILE_MAX_BYTES} bytes`);
    }
    const bytes = Buffer.from(text);
    try {
      if (this.#file === undefined) this.#openFile();
      this.#write(bytes);
    } catch (error) {
      // A beginning is of no use to anybody, and takes the space.
      this.close();
      if (this.#fileName !== "") rmSync(`${COMPUTER.session}/${this.#fileName}`, { force: true });
      this.#removed = true;
      throw isDiskFull(error) ? new DiskFullError(error) : error;
    }
    if (this.#truncated) return "";
    this.#truncated = true;
    const fitting = bytes.subarray(0, REPLY_KEPT_BYTES - this.#keptBytes);
    const whole = fitting.subarray(0, fitting.length - incompleteBytes(fitting));
    return this.#keep(whole.toString("utf8"), whole.length);
  }

  #keep(text: string, bytes: number): string {
    this.#kept += text;
    this.#keptBytes += bytes;
    return text;
  }

  #openFile(): void {
    this.#fileName = `${this.#stem}_reply.txt`;
    this.#file = openSync(`${COMPUTER.session}/${this.#fileName}`, "wx", 0o644);
    this.#write(Buffer.from(this.#kept));
  }

  #write(bytes: Buffer): void {
    if (this.#file === undefined) return;
    for (let written = 0; written < bytes.length; ) written += writeSync(this.#file, bytes, written);
  }
}
