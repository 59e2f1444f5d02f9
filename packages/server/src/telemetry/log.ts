import { type DestinationStream, type Logger, pino } from "pino";

export type { Logger } from "pino";

/** Fields whose values are never written, at the top of a line and up to two levels below. */
const SECRET_FIELDS = [
  "authorization",
  "cookie",
  "current_password",
  "environment",
  "new_password",
  "pass",
  "password",
  "secret",
  "token",
  "value",
];
const PREFIXES = ["", "*.", "*.*."];

/** The server's log: JSON lines, with secrets left out. Without a destination it goes to stdout. */
export function createLog(level: string, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: {
      paths: PREFIXES.flatMap((prefix) => SECRET_FIELDS.map((field) => `${prefix}${field}`)),
      censor: "[redacted]",
    },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}

/** A log that writes nothing, for tests. */
export function silentLog(): Logger {
  return pino({ level: "silent" });
}
