import { closeSync, type FSWatcher, fstatSync, readSync, watch } from "node:fs";
import { COMPUTER, type HostLogLine } from "@raworc/contract";
import { LOG_LINE_CUT_BYTES } from "./limits.ts";
import { type LogFile, openLog, splitLines } from "./log-files.ts";

const PIECE_BYTES = 64 * 1024;
/** Files that are remembered: only the newest are still written. */
const FILES_MAX = 128;
const LF = 0x0a;

/** Tells what is written to logs. The kernel says which file has changed. */
export class LogFollower {
  readonly #wanted: (name: string) => LogFile | undefined;
  readonly #watcher: FSWatcher;
  /** Where to go on, by name. */
  readonly #positions = new Map<string, number>();
  readonly #changed = new Set<string>();
  #wake: (() => void) | undefined;

  constructor(wanted: (name: string) => LogFile | undefined) {
    this.#wanted = wanted;
    this.#watcher = watch(COMPUTER.logs, (_event, name) => {
      if (name === null || wanted(name) === undefined) return;
      this.#changed.add(name);
      this.#wake?.();
    });
    this.#watcher.on("error", () => this.#wake?.());
  }

  startAt(name: string, position: number): void {
    this.#positions.set(name, position);
    // What was written before the watching began, and after it was read.
    this.#changed.add(name);
  }

  /** Ends when `over` does. */
  async *lines(over: Promise<void>): AsyncGenerator<HostLogLine> {
    let ended = false;
    const end = over.then(() => {
      ended = true;
    });
    while (!ended) {
      const [name] = this.#changed;
      if (name === undefined) {
        await Promise.race([end, new Promise<void>((resolve) => (this.#wake = resolve))]);
        continue;
      }
      this.#changed.delete(name);
      const file = this.#wanted(name);
      if (file !== undefined) yield* this.#read(file);
    }
  }

  close(): void {
    this.#watcher.close();
  }

  *#read(file: LogFile): Generator<HostLogLine> {
    const descriptor = openLog(file.name);
    if (descriptor === undefined) return;
    try {
      const stat = fstatSync(descriptor);
      if (!stat.isFile()) return;
      const before = this.#positions.get(file.name) ?? 0;
      // One that is shorter was begun anew.
      const position = before > stat.size ? 0 : before;
      const bytes = Buffer.alloc(PIECE_BYTES);
      const length = readSync(descriptor, bytes, 0, PIECE_BYTES, position);
      const read = bytes.subarray(0, length);
      // A line that is not yet at its end is told when it is, or when it is too long.
      const whole = read.lastIndexOf(LF) + 1 || (length > LOG_LINE_CUT_BYTES ? length : 0);
      this.#remember(file.name, position + whole);
      if (length === PIECE_BYTES) this.#changed.add(file.name);
      for (const line of splitLines(read.subarray(0, whole))) yield { source: file.source, file: file.name, line };
    } finally {
      closeSync(descriptor);
    }
  }

  #remember(name: string, position: number): void {
    this.#positions.delete(name);
    this.#positions.set(name, position);
    if (this.#positions.size <= FILES_MAX) return;
    const [oldest] = this.#positions.keys();
    if (oldest !== undefined) this.#positions.delete(oldest);
  }
}
