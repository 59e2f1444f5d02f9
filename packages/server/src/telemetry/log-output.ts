import { type DestinationStream, destination } from "pino";

/** Bytes after which lines are written at once. */
const BUFFER_MAX = 15 * 1024;

/**
 * Standard output for log lines: those of one turn of the event loop are written together, since a write costs more than
 * the lines do. What is still here when the process ends is written then.
 */
export function bufferedOutput(): DestinationStream {
  const output = destination({ dest: 1, sync: true, minLength: BUFFER_MAX });
  let isDue = false;
  const flush = (): void => {
    isDue = false;
    output.flushSync();
  };
  process.on("exit", flush);
  return {
    write: (line) => {
      output.write(line);
      if (isDue) return;
      isDue = true;
      setImmediate(flush);
    },
  };
}
