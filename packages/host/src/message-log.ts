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

interface LogFiles extends Readonly<Record<LogStream, LogFile>> {
  /** Relative to the session's folder, and without the ending: `logs/{agent}_{date}_{time}_{milliseconds}`. */
  readonly stem: string;
}

/**
 * The pair of files of what an agent prints while it handles one message, and afterwards until the next one. They are made
 * at the first print: most messages have none, and making a file takes longer than all else that a message needs.
 */
export class MessageLog {
  readonly #folder: LogFolder;
  readonly #agent: string;
  readonly #time: Date;
  #files: LogFiles | undefined;
  #diskFull = false;
  #closed = false;

  constructor(folder: LogFolder, agent: string, time: Date) {
    this.#folder = folder;
    this.#agent = agent;
    this.#time = time;
  }

  /** Relative to the session's folder; null while nothing was printed. */
  get outputFile(): string | null {
    return this.#files === undefined ? null : `${this.#files.stem}_stdout.log`;
  }

  get errorFile(): string | null {
    return this.#files === undefined ? null : `${this.#files.stem}_stderr.log`;
  }

  /** Whether something found no space. */
  get diskFull(): boolean {
    return this.#diskFull;
  }

  /** What the names of the message's files begin with: nothing else has them. Throws DiskFullError. */
  claimStem(): string {
    if (this.#files !== undefined) return this.#files.stem;
    this.#files = createFiles(this.#agent, this.#time.getTime());
    if (this.#closed) this.#release(this.#files);
    return this.#files.stem;
  }

  write(stream: LogStream, bytes: Buffer): void {
    if (this.#closed || this.#diskFull || bytes.length === 0) return;
    try {
      this.#files ??= createFiles(this.#agent, this.#time.getTime());
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      this.#diskFull = true;
      return;
    }
    this.#append(this.#files[stream], bytes);
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#files !== undefined) this.#release(this.#files);
  }

  #release({ stem, stdout, stderr }: LogFiles): void {
    for (const { descriptor } of [stdout, stderr]) closeSync(descriptor);
    this.#folder.add(`${stem}_stdout.log`, stdout.bytes);
    this.#folder.add(`${stem}_stderr.log`, stderr.bytes);
  }

  #append(file: LogFile, bytes: Buffer): void {
    const left = LOG_MAX_BYTES - file.bytes;
    if (left < 0) return;
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
}

/** Throws DiskFullError. */
function createFiles(agent: string, milliseconds: number): LogFiles {
  // Two messages of one agent in the same millisecond: the later one counts on.
  for (let time = milliseconds; ; time += 1) {
    const stem = `logs/${agent}_${stamp(new Date(time))}`;
    let stdout: LogFile | undefined;
    try {
      stdout = create(`${stem}_stdout.log`);
      return { stem, stdout, stderr: create(`${stem}_stderr.log`) };
    } catch (error) {
      if (stdout !== undefined) closeSync(stdout.descriptor);
      if (isDiskFull(error)) throw new DiskFullError(error);
      if (errorCode(error) !== "EEXIST") throw error;
    }
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
