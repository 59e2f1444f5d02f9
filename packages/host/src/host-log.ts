import { closeSync, constants, fstatSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { COMPUTER } from "@raworc/contract";
import { HOST_LOG_MAX_BYTES } from "./limits.ts";

export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

const FILE = `${COMPUTER.logs}/host.log`;
const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;

/** One line of JSON on stdout, which is the computer's own log, and in the session's. A log that nobody takes stops nothing. */
export function logLine(level: "info" | "warn" | "error", message: string, fields: LogFields = {}): void {
  const line = `${JSON.stringify({ time: new Date().toISOString(), level, msg: message, ...fields })}\n`;
  try {
    writeSync(1, line);
  } catch {
    // The pipe is full or gone.
  }
  try {
    keep(line);
  } catch {
    // The disk is full, or the folder is not there yet.
  }
}

function keep(line: string): void {
  const descriptor = openSync(FILE, FLAGS, 0o644);
  try {
    if (fstatSync(descriptor).size > HOST_LOG_MAX_BYTES) ftruncateSync(descriptor);
    writeSync(descriptor, line);
  } finally {
    closeSync(descriptor);
  }
}
