import { writeSync } from "node:fs";
import type { DestinationStream } from "pino";

/** Characters after which lines are written at once. */
const BUFFER_MAX = 15 * 1024;
/** Milliseconds until a reader that is behind is offered more. */
const FULL_PAUSE = 10;
/** Milliseconds in which lines are gathered. */
const GATHER = 5;
const STDOUT = 1;

/**
 * Standard output for log lines: those of some milliseconds are written together, since a write costs more than the lines
 * do. What is still here when the process ends is written then; one that is killed loses those milliseconds. Nothing waits
 * for a disk: what the system has taken outlives this process.
 */
export function bufferedOutput(file: number = STDOUT): DestinationStream {
  let lines = "";
  let isDue = false;
  const flush = (): void => {
    isDue = false;
    const text = lines;
    lines = "";
    writeAll(file, text);
  };
  process.on("exit", flush);
  return {
    write: (line) => {
      lines += line;
      if (lines.length >= BUFFER_MAX) flush();
      if (isDue) return;
      isDue = true;
      setTimeout(flush, GATHER);
    },
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
