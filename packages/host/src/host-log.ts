import { writeSync } from "node:fs";

export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** One line of JSON on stdout, which is the computer's own log. A log that nobody takes stops nothing. */
export function logLine(level: "info" | "warn" | "error", message: string, fields: LogFields = {}): void {
  try {
    writeSync(1, `${JSON.stringify({ time: new Date().toISOString(), level, msg: message, ...fields })}\n`);
  } catch {
    // The pipe is full or gone.
  }
}
