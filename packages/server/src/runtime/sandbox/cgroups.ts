import { readFile, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Limits } from "@raworc/contract";
import { type ComputerUsage, DriverError } from "../driver.ts";

export type ChangeableLimits = Omit<Limits, "disk_mb">;

/** One control group per computer, in whichever version this machine has. Every operation may be repeated. */
export interface Cgroups {
  readonly version: "cgroup v1" | "cgroup v2";
  /** Limits that controllers are there for. */
  readonly enforced: Readonly<Record<keyof ChangeableLimits, boolean>>;
  readonly freezes: boolean;

  create(name: string, limits: ChangeableLimits): Promise<void>;
  change(name: string, limits: ChangeableLimits): Promise<void>;
  add(name: string, pid: number): Promise<void>;
  /** Resolves when nothing in the group runs any more. */
  freeze(name: string): Promise<void>;
  thaw(name: string): Promise<void>;
  isFrozen(name: string): Promise<boolean>;
  /** How many processes were killed for lack of memory. */
  memoryKills(name: string): Promise<number>;
  /** Undefined where this machine does not count both. */
  usage(name: string): Promise<ComputerUsage | undefined>;
  /** Folder of the files that count and limit memory. */
  memoryFolder(name: string): string;
  remove(name: string): Promise<void>;
  /** Groups that are there. */
  list(): Promise<readonly string[]>;
  /** Removes what holds the groups, when it is empty. */
  close(): Promise<void>;
}

const PERIOD_US = 100_000;
const QUOTA_MIN_US = 1000;
const PATIENCE_MS = 10_000;

/** Processor time in each period. */
export function quotaOf(cpus: number): { readonly quota: number; readonly period: number } {
  return { quota: Math.max(QUOTA_MIN_US, Math.round(cpus * PERIOD_US)), period: PERIOD_US };
}

export function bytesOf(megabytes: number): number {
  return megabytes * 1024 * 1024;
}

/**
 * Removes a group, and ends what is left in it: a launch that was cut short leaves a process behind that no record knows. The
 * last processes leave it a moment after they have ended, above all after a kill for lack of memory, and nothing tells of it.
 */
export async function removeGroup(path: string): Promise<void> {
  for (let pause = 1, waited = 0; ; waited += pause, pause = Math.min(pause * 2, 100)) {
    try {
      return await rmdir(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT") return;
      if (code !== "EBUSY" || waited > PATIENCE_MS) {
        throw new DriverError(`The control group ${path} can't be removed; processes are left in it.`, {
          cause: error,
          transient: true,
        });
      }
      await endProcesses(path);
      await sleep(pause);
    }
  }
}

async function endProcesses(path: string): Promise<void> {
  const members = await readFile(join(path, "cgroup.procs"), "latin1").catch(() => "");
  for (const pid of members.split("\n").map(Number)) {
    // 0 stands for one of another process namespace, and for this process's whole group when it is signalled.
    if (!(pid > 0)) continue;
    try {
      process.kill(pid, "SIGKILL");
    } catch (error) {
      if (!isCode(error, "ESRCH")) throw error;
    }
  }
}

/** From nanoseconds, bytes and the group's own `memory.stat`; a count that is no number is not there. */
export function usageOf(nanoseconds: string, bytes: string, inactiveFiles: string): ComputerUsage | undefined {
  const [cpu, memory, files] = [nanoseconds, bytes, inactiveFiles].map((text) => Number.parseInt(text, 10));
  if (cpu === undefined || memory === undefined || !Number.isFinite(cpu) || !Number.isFinite(memory)) return undefined;
  return { cpuSeconds: cpu / 1e9, memoryBytes: Math.max(0, memory - (files || 0)) };
}

export function isCode(error: unknown, ...codes: readonly string[]): boolean {
  return codes.includes((error as NodeJS.ErrnoException).code ?? "");
}
