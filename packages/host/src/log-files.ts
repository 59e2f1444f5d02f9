import { closeSync, constants, fstatSync, openSync, readdirSync, readSync } from "node:fs";
import { COMPUTER } from "@raworc/contract";
import { LOG_LINE_CUT_BYTES } from "./limits.ts";

export interface LogFile {
  readonly name: string;
  /** `host`, or `{agent}/stdout`, `{agent}/stderr`. */
  readonly source: string;
  readonly agent: string | undefined;
  /** Orders the files: when the message was handled. The host's own comes before all. */
  readonly stamp: string;
}

export const HOST_LOG_NAME = "host.log";
const NAME = /^(.{1,64})_(\d{8}_\d{6}_\d{3})_(stdout|stderr)\.log$/;
/** Files whose ends are looked at. */
const FILES_MAX = 64;
const TAIL_MAX_BYTES = 1024 * 1024;
const LF = 0x0a;

/** Undefined for what is no log. */
export function parseLogName(name: string): LogFile | undefined {
  if (name === HOST_LOG_NAME) return { name, source: "host", agent: undefined, stamp: "" };
  const [, agent, stamp, stream] = NAME.exec(name) ?? [];
  if (agent === undefined || stamp === undefined) return undefined;
  return { name, source: `${agent}/${stream}`, agent, stamp };
}

/** The newest logs, the oldest first; of one agent alone, or of all and the host. */
export function findLogs(agent: string | undefined): { readonly files: readonly LogFile[]; readonly oldest: string } {
  const all = readdirSync(COMPUTER.logs)
    .flatMap((name) => parseLogName(name) ?? [])
    .filter((file) => agent === undefined || file.agent === agent)
    .toSorted((one, other) => (one.stamp === other.stamp ? 0 : one.stamp < other.stamp ? -1 : 1));
  const host = all.filter((file) => file.agent === undefined);
  const newest = all.filter((file) => file.agent !== undefined).slice(-FILES_MAX);
  return { files: [...host, ...newest], oldest: newest[0]?.stamp ?? "" };
}

/** Whether a file may have grown since: older ones are never written again. */
export function isNewerThan({ agent, stamp }: LogFile, oldest: string): boolean {
  return agent === undefined || stamp >= oldest;
}

/** Undefined where it is gone. Links are not followed. */
export function openLog(name: string): number | undefined {
  try {
    return openSync(`${COMPUTER.logs}/${name}`, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
}

/** The last lines of a file, and how far it was read. */
export function readTail({ name }: LogFile, count: number): { readonly lines: string[]; readonly end: number } {
  const descriptor = openLog(name);
  if (descriptor === undefined) return { lines: [], end: 0 };
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) return { lines: [], end: 0 };
    const start = Math.max(0, stat.size - TAIL_MAX_BYTES);
    const bytes = Buffer.alloc(stat.size - start);
    const length = readSync(descriptor, bytes, 0, bytes.length, start);
    const lines = splitLines(bytes.subarray(0, length));
    return { lines: lines.slice(-count), end: start + length };
  } finally {
    closeSync(descriptor);
  }
}

/** Lines of a text, longer ones in pieces. A last line without its end counts too. */
export function splitLines(bytes: Buffer): string[] {
  const lines: string[] = [];
  for (let start = 0; start < bytes.length; ) {
    const found = bytes.indexOf(LF, start);
    const end = found === -1 ? bytes.length : found;
    for (let from = start; from < end || from === start; from += LOG_LINE_CUT_BYTES) {
      lines.push(bytes.toString("utf8", from, Math.min(end, from + LOG_LINE_CUT_BYTES)));
    }
    start = end + 1;
  }
  return lines;
}
