import { readdirSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { z } from "zod";

/** A process of this machine, told apart from any later one of the same number. */
export const ProcessIdentity = z.object({
  pid: z.number().int().positive(),
  /** Ticks after the machine's start. */
  start: z.string(),
  boot: z.string(),
});
export type ProcessIdentity = z.infer<typeof ProcessIdentity>;

interface Row {
  readonly pid: number;
  readonly state: string;
  readonly parent: number;
  readonly start: string;
}

let boot: string | undefined;

function bootId(): string {
  boot ??= readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  return boot;
}

/** Undefined where there is no such process. */
export function identify(pid: number): ProcessIdentity | undefined {
  const row = readRow(pid);
  return row === undefined ? undefined : { pid, start: row.start, boot: bootId() };
}

/** A zombie lives no more: its memory, files and mounts are gone. */
export function isAlive({ pid, start, boot: then }: ProcessIdentity): boolean {
  const row = readRow(pid);
  return row !== undefined && row.start === start && then === bootId() && !hasEnded(row);
}

export function isHalted(identity: ProcessIdentity): boolean {
  return readRow(identity.pid)?.state === "T";
}

/** False where it is gone already. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  try {
    return process.kill(identity.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

/** The first living child. */
export async function childOf({ pid }: ProcessIdentity): Promise<ProcessIdentity | undefined> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "latin1").catch(() => undefined);
  if (text !== undefined) {
    const [child] = text.trim().split(" ");
    return child === undefined || child === "" ? undefined : identify(Number(child));
  }
  // Kernels without that file.
  const row = readRows().find((other) => other.parent === pid && !hasEnded(other));
  return row && identify(row.pid);
}

/** A process and all that came from it and live. */
export function treeOf({ pid }: ProcessIdentity): readonly ProcessIdentity[] {
  const rows = readRows().filter((row) => !hasEnded(row));
  const tree = new Set([pid]);
  for (let grown = true; grown; ) {
    grown = false;
    for (const row of rows) {
      if (!tree.has(row.parent) || tree.has(row.pid)) continue;
      tree.add(row.pid);
      grown = true;
    }
  }
  return rows.filter((row) => tree.has(row.pid)).map((row) => ({ pid: row.pid, start: row.start, boot: bootId() }));
}

/** Processor time and resident memory of a process and all that came from it and live, in ticks and pages. */
export function countTree(root: ProcessIdentity): { readonly ticks: number; readonly pages: number } {
  let ticks = 0;
  let pages = 0;
  for (const { pid } of treeOf(root)) {
    const fields = readFields(pid);
    // Its own time, and that of its children that have ended.
    ticks += fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    pages += Number(fields[21] ?? 0);
  }
  return { ticks, pages };
}

function readRows(): Row[] {
  return readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? (readRow(Number(name)) ?? []) : []));
}

function hasEnded({ state }: Row): boolean {
  return state === "Z" || state === "X";
}

/** Of /proc/PID/stat, from the state on; none where there is no such process. */
function readFields(pid: number): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name before the last parenthesis may hold anything.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return [];
  }
}

function readRow(pid: number): Row | undefined {
  const fields = readFields(pid);
  const [state, parent] = fields;
  const start = fields[19];
  return state === undefined || start === undefined ? undefined : { pid, state, parent: Number(parent), start };
}
