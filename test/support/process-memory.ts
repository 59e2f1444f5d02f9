import { readdirSync, readFileSync } from "node:fs";

/** Kilobytes that a process has had resident at most. */
export function peakMemoryKb(pid: number): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

/** Process ids of this machine whose command line holds all of some texts. */
export function processesWith(...texts: readonly string[]): number[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const line = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ");
      return texts.every((text) => line.includes(text)) ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}
