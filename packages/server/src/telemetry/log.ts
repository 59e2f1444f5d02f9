import { type DestinationStream, type Logger, pino } from "pino";
import { bufferedOutput } from "./log-output.ts";

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

const LINE = {
  base: null,
  timestamp: () => `,"time":"${new Date().toISOString()}"`,
  formatters: { level: (label: string) => ({ level: label }) },
};

/** The server's log: JSON lines, with secrets left out. Without a destination it goes to stdout. */
export function createLog(level: string, destination?: DestinationStream): Logger {
  const options = {
    ...LINE,
    level,
    redact: {
      paths: PREFIXES.flatMap((prefix) => SECRET_FIELDS.map((field) => `${prefix}${field}`)),
      censor: "[redacted]",
    },
  };
  return pino(options, destination ?? bufferedOutput());
}

/**
 * The same log for lines of which no field can hold a secret: leaving secrets out costs more than such a line itself.
 */
export function plainLog(log: Logger): Logger {
  const output = (log as unknown as Record<symbol, DestinationStream>)[pino.symbols.streamSym];
  const { level } = log;
  return output === undefined ? log : pino({ ...LINE, level }, output);
}

/** A log that writes nothing, for tests. */
export function silentLog(): Logger {
  return pino({ level: "silent" });
}
