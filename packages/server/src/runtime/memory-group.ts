import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { readMounts } from "./mount-lines.ts";

const V1_PATH = /^\d+:(?:[^:\n]*,)?memory(?:,[^:\n]*)?:(.+)$/m;
const V2_PATH = /^0::(.+)$/m;

/**
 * Folder of the control group that counts a process's memory. Undefined where this process does not see it, or where its path
 * lacks the mark: then it is no group of that process's own.
 */
export async function memoryGroupOf(pid: number, mark: string): Promise<string | undefined> {
  const told = await readFile(`/proc/${pid}/cgroup`, "latin1").catch(() => "");
  const mounts = await readMounts();
  const first = mounts.find(({ type, options }) => type === "cgroup" && options.includes("memory"))?.target;
  const second = mounts.find(({ type }) => type === "cgroup2")?.target;
  const [mount, path] = first === undefined ? [second, V2_PATH.exec(told)?.[1]] : [first, V1_PATH.exec(told)?.[1]];
  return mount === undefined || path === undefined || !path.includes(mark) ? undefined : join(mount, path);
}
