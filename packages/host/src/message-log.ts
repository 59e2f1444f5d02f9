import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { COMPUTER } from "@raworc/contract";
import { DiskFullError, errorCode, isDiskFull } from "./disk-full.ts";
import { LOG_MAX_BYTES } from "./limits.ts";
import type { LogFolder } from "./log-folder.ts";

export type LogStream = "stdout" | "stderr";

const KEPT_WHEN_FULL_BYTES = 64 * 1024;

interface LogFile {
  readonly descriptor: number;
  bytes: number;
}

/** The pair of files of what an agent prints while it handles one message, and afterwards until the next one. */
export class MessageLog {
  /** Relative to the session's folder, and without the ending: `logs/{agent}_{date}_{time}_{milliseconds}`. */
  readonly stem: string;
  readonly #folder: LogFolder;
  readonly #files: Readonly<Record<LogStream, LogFile>>;
  #diskFull = false;
  #closed = false;

  private constructor(folder: LogFolder, stem: string, files: Readonly<Record<LogStream, LogFile>>) {
    this.#folder = folder;
    this.stem = stem;
    this.#files = files;
  }

  /** Throws DiskFullError. */
  static open(folder: LogFolder, agent: string, now: Date): MessageLog {
    // Two messages of one agent in the same millisecond: the later one counts on.
    for (let time = now.getTime(); ; time += 1) {
      const stem = `logs/${agent}_${stamp(new Date(time))}`;
      try {
        const stdout = create(`${stem}_stdout.log`);
        return new MessageLog(folder, stem, { stdout, stderr: create(`${stem}_stderr.log`) });
      } catch (error) {
        if (isDiskFull(error)) throw new DiskFullError(error);
        if (errorCode(error) !== "EEXIST") throw error;
      }
    }
  }

  get outputFile(): string {
    return `${this.stem}_stdout.log`;
  }

  get errorFile(): string {
    return `${this.stem}_stderr.log`;
  }

  /** Whether something found no space. */
  get diskFull(): boolean {
    return this.#diskFull;
  }

  write(stream: LogStream, bytes: Buffer): void {
    const file = this.#files[stream];
    const left = LOG_MAX_BYTES - file.bytes;
    if (this.#closed || this.#diskFull || left < 0 || bytes.length === 0) return;
    file.bytes = Math.min(file.bytes + bytes.length, LOG_MAX_BYTES + 1);
    try {
      writeAll(file.descriptor, bytes.subarray(0, left));
      if (file.bytes > LOG_MAX_BYTES) {
        writeAll(file.descriptor, Buffer.from(`\n[raworc: cut here, a log holds ${LOG_MAX_BYTES} bytes]\n`));
      }
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      this.#diskFull = true;
      // What fills the disk is given back: the agent can't remove logs, and the next message needs the space.
      file.bytes = Math.min(file.bytes, KEPT_WHEN_FULL_BYTES);
      ftruncateSync(file.descriptor, file.bytes);
    }
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const { descriptor } of Object.values(this.#files)) closeSync(descriptor);
    this.#folder.add(this.outputFile, this.#files.stdout.bytes);
    this.#folder.add(this.errorFile, this.#files.stderr.bytes);
  }
}

function create(name: string): LogFile {
  return { descriptor: openSync(`${COMPUTER.session}/${name}`, "wx", 0o644), bytes: 0 };
}

function writeAll(descriptor: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(descriptor, bytes, written);
}

/** `YYYYMMDD_HHMMSS_mmm`, UTC. */
function stamp(time: Date): string {
  const [date = "", clock = "", milliseconds = ""] = time.toISOString().split(/[T.]/);
  return `${date.replaceAll("-", "")}_${clock.replaceAll(":", "")}_${milliseconds.slice(0, 3)}`;
}
