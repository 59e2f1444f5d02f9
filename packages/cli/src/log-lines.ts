import { open } from "node:fs/promises";
import type { Output } from "./streams.ts";
import { cleanText } from "./terminal-text.ts";

const LEVELS: Readonly<Record<number, string>> = {
  10: "TRACE",
  20: "DEBUG",
  30: "INFO",
  40: "WARN",
  50: "ERROR",
  60: "FATAL",
};
const HIDDEN = new Set(["level", "time", "msg", "pid", "hostname", "name"]);
const TAIL_MAX_BYTES = 4 * 1024 * 1024;

/** A line of the server's log as people read it; a line that is no log entry stays as it is. */
export function formatLogLine(line: string, output: Output): string {
  const entry = parseEntry(line);
  if (entry === undefined) return cleanText(line);
  const level = LEVELS[Number(entry["level"])] ?? String(entry["level"]).toUpperCase().slice(0, 5);
  const time = new Date(entry["time"] as string | number);
  const clock = Number.isNaN(time.valueOf()) ? "" : time.toISOString().slice(11, 23);
  const fields = Object.entries(entry).filter(([name]) => !HIDDEN.has(name));
  const shown = fields.map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  const paint = level === "ERROR" || level === "FATAL" ? "red" : level === "WARN" ? "yellow" : "dim";
  const rest = cleanText(shown.join(" ")).replaceAll("\n", "\n    ");
  return [
    output.paint("dim", clock),
    output.paint(paint, level.padEnd(5)),
    cleanText(String(entry["msg"] ?? "")),
    output.paint("dim", rest),
  ]
    .filter((part) => part !== "")
    .join(" ");
}

function parseEntry(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && "level" in value
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

export interface Tail {
  readonly lines: readonly string[];
  /** Where in the file the next line begins. */
  readonly end: number;
}

/** The last lines of a file, at most those after an offset. */
export async function readTail(path: string, most: number, from = 0): Promise<Tail> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const start = Math.max(Math.min(from, size), size - TAIL_MAX_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start);
    const text = buffer.toString("utf8", 0, bytesRead);
    const lines = text.split("\n").filter((line) => line !== "");
    return { lines: lines.slice(-most), end: start + bytesRead };
  } finally {
    await file.close();
  }
}
