import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { EngineInfo } from "./engine-answers.ts";

const GROUPS = "/sys/fs/cgroup";

/**
 * The first process of a running container by the machine's number, from where the engine's control groups usually are; undefined
 * where they are elsewhere.
 */
export async function firstProcess(info: EngineInfo, engineId: string): Promise<number | undefined> {
  const tree = info.CgroupVersion === "2" ? GROUPS : join(GROUPS, "pids");
  const group = info.CgroupDriver === "systemd" ? `system.slice/docker-${engineId}.scope` : `docker/${engineId}`;
  const text = await readFile(join(tree, group, "cgroup.procs"), "utf8").catch(() => "");
  return Number(text.split("\n")[0]) || undefined;
}
