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
  timestamp: () => `,"time":"${timeNow()}"`,
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

/** Writes a line at the level info. */
export type WriteLine = (fields: object, message: string) => void;

let timeAt = 0;
let time = "";

/** Many lines are of the same millisecond. */
function timeNow(): string {
  const now = Date.now();
  if (now !== timeAt) {
    timeAt = now;
    time = new Date(now).toISOString();
  }
  return time;
}

/**
 * The same log for lines that every request writes, with at least one field and none that can hold a secret: leaving
 * secrets out costs more than such a line itself.
 */
export function plainLog(log: Logger): WriteLine {
  const output = (log as unknown as Record<symbol, DestinationStream>)[pino.symbols.streamSym];
  if (output === undefined || !log.isLevelEnabled("info")) return () => undefined;
  return (fields, message) => {
    const text = JSON.stringify(fields).slice(1, -1);
    output.write(`{"level":"info","time":"${timeNow()}",${text},"msg":${JSON.stringify(message)}}\n`);
  };
}

/** A log that writes nothing, for tests. */
export function silentLog(): Logger {
  return pino({ level: "silent" });
}
