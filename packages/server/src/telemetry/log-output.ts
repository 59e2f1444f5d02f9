import { writeSync } from "node:fs";
import type { DestinationStream } from "pino";

/** Characters, and lines, after which all are written at once. */
const BUFFER_MAX = 15 * 1024;
const LINES_MAX = 50;
/** Milliseconds until a reader that is behind is offered more. */
const FULL_PAUSE = 10;
/** Milliseconds in which lines are gathered. */
const GATHER = 5;
const STDOUT = 1;

/** A line, or what makes it when it is written: made together they take a fraction of what each takes amid other work. */
type Line = string | (() => string);

export interface LogOutput extends DestinationStream {
  /** Writes a line that is made later, in its place among the others. */
  writeLater(make: () => string): void;
}

/**
 * Standard output for log lines: those of some milliseconds are written together, since a write costs more than the lines
 * do. What is still here when the process ends is written then; one that is killed loses those milliseconds. Nothing waits
 * for a disk: what the system has taken outlives this process.
 */
export function bufferedOutput(file: number = STDOUT): LogOutput {
  let lines: Line[] = [];
  let length = 0;
  let isDue = false;
  const flush = (): void => {
    const due = lines;
    lines = [];
    length = 0;
    writeAll(file, due.map((line) => (typeof line === "string" ? line : line())).join(""));
  };
  const add = (line: Line): void => {
    lines.push(line);
    if (length >= BUFFER_MAX || lines.length >= LINES_MAX) flush();
    if (isDue) return;
    isDue = true;
    setTimeout(() => {
      isDue = false;
      flush();
    }, GATHER);
  };
  process.on("exit", flush);
  return {
    write: (line) => {
      length += line.length;
      add(line);
    },
    writeLater: add,
  };
}

/** Lines that nobody takes, since the reader has gone or the disk is full, are no reason to stop serving. */
function writeAll(file: number, text: string): void {
  const bytes = Buffer.from(text);
  let written = 0;
  while (written < bytes.length) {
    try {
      written += writeSync(file, bytes, written);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_PAUSE);
    }
  }
}
