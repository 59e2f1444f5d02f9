import { type DestinationStream, type Logger, pino } from "pino";
import { bufferedOutput, type LogOutput } from "./log-output.ts";

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
  timestamp: () => `,"time":"${timeOf(Date.now())}"`,
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
export type WriteLine<Fields = object> = (fields: Fields, message: string) => void;

const PLAIN = /^[\w .:/@?=&+~-]*$/;

/** A text as JSON. Most have nothing that must be escaped, which is found out faster than done. */
export function quoted(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text);
}

let timeAt = 0;
let time = "";

/** Many lines are of the same millisecond. */
function timeOf(milliseconds: number): string {
  if (milliseconds !== timeAt) {
    timeAt = milliseconds;
    time = new Date(milliseconds).toISOString();
  }
  return time;
}

/**
 * The same log for lines with at least one field and none that can hold a secret: leaving secrets out costs more than such a
 * line itself.
 */
export function plainLog(log: Logger): WriteLine {
  const output = outputOf(log);
  return (fields, message) => output?.write(plainLine(Date.now(), JSON.stringify(fields).slice(1, -1), message));
}

/**
 * The same for lines that are made when they are written, as every request has one. Their fields are JSON already, without the
 * braces around them.
 */
export function lateLog(log: Logger): WriteLine<() => string> {
  const output = outputOf(log);
  return (fields, message) => {
    const now = Date.now();
    const make = (): string => plainLine(now, fields(), message);
    if (output?.writeLater === undefined) output?.write(make());
    else output.writeLater(make);
  };
}

/** Undefined where nobody wants to hear. */
function outputOf(log: Logger): (DestinationStream & Partial<LogOutput>) | undefined {
  if (!log.isLevelEnabled("info")) return undefined;
  return (log as unknown as Record<symbol, DestinationStream>)[pino.symbols.streamSym];
}

function plainLine(time: number, fields: string, message: string): string {
  return `{"level":"info","time":"${timeOf(time)}",${fields},"msg":${quoted(message)}}\n`;
}

/** A log that writes nothing, for tests. */
export function silentLog(): Logger {
  return pino({ level: "silent" });
}
