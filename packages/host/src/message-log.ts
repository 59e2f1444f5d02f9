import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { COMPUTER } from "@raworc/contract";
import { isDiskFull } from "./disk-full.ts";
import { LOG_MAX_BYTES } from "./limits.ts";
import type { LogFolder } from "./log-folder.ts";

export type LogStream = "stdout" | "stderr";

const KEPT_WHEN_FULL_BYTES = 64 * 1024;

interface LogFile {
  readonly descriptor: number;
  bytes: number;
}

type LogFiles = Readonly<Record<LogStream, LogFile>>;

/**
 * The pair of files of what an agent prints while it handles one message, and afterwards until the next one. Making them
 * takes longer than all else that a message needs, so they are made at the first print, or when the message has ended.
 */
export class MessageLog {
  /** Relative to the session's folder, and without the ending: `logs/{agent}_{date}_{time}_{milliseconds}`. */
  readonly stem: string;
  readonly #folder: LogFolder;
  #files: LogFiles | undefined;
  #diskFull = false;
  #closed = false;

  constructor(folder: LogFolder, agent: string, time: Date) {
    this.#folder = folder;
    this.stem = `logs/${agent}_${stamp(folder.claimTime(agent, time))}`;
  }

  /** Relative to the session's folder. */
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

  /** Makes the files of a message for which nothing was printed. */
  keep(): void {
    if (this.#closed || this.#files !== undefined) return;
    this.#make();
  }

  write(stream: LogStream, bytes: Buffer): void {
    if (this.#closed || this.#diskFull || bytes.length === 0) return;
    const files = this.#files ?? this.#make();
    if (files !== undefined) this.#append(files[stream], bytes);
  }

  /** Idempotent. */
  close(): void {
    this.keep();
    this.#closed = true;
    const files = this.#files;
    this.#files = undefined;
    if (files === undefined) return;
    for (const { descriptor } of [files.stdout, files.stderr]) closeSync(descriptor);
    this.#folder.add(this.outputFile, files.stdout.bytes);
    this.#folder.add(this.errorFile, files.stderr.bytes);
  }

  /** Undefined where the disk has no space for them. */
  #make(): LogFiles | undefined {
    try {
      this.#files = createFiles(this.outputFile, this.errorFile);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      this.#diskFull = true;
    }
    return this.#files;
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

function createFiles(output: string, errors: string): LogFiles {
  const stdout = create(output);
  try {
    return { stdout, stderr: create(errors) };
  } catch (error) {
    closeSync(stdout.descriptor);
    throw error;
  }
}

/** A file of that name is there only if the clock was put back: then what is printed goes behind. */
function create(name: string): LogFile {
  return { descriptor: openSync(`${COMPUTER.session}/${name}`, "a", 0o644), bytes: 0 };
}

function writeAll(descriptor: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(descriptor, bytes, written);
}

/** `YYYYMMDD_HHMMSS_mmm`, UTC. */
function stamp(time: Date): string {
  const [date = "", clock = "", milliseconds = ""] = time.toISOString().split(/[T.]/);
  return `${date.replaceAll("-", "")}_${clock.replaceAll(":", "")}_${milliseconds.slice(0, 3)}`;
}
