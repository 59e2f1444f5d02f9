import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, statSync } from "node:fs";
import { promisify } from "node:util";
import { COMPUTER } from "@raworc/contract";
import type { Config } from "./config.ts";

/**
 * Makes the folders of a session where they are missing. The host may not give files away, so what belongs to the agent is
 * made as the agent; the driver leaves `/session` itself open to all, with the sticky bit, so that nobody removes another's.
 */
export async function prepareFolders(config: Config): Promise<void> {
  makeOwn(COMPUTER.state, 0o700);
  makeOwn(COMPUTER.logs, 0o755);
  makeOwn(COMPUTER.agents, 0o755);
  const missing = [COMPUTER.workspace, COMPUTER.cache].filter((path) => !isFolder(path));
  // Others may write there: the host puts contexts for programs into it.
  if (!isFolder(COMPUTER.temporary)) await makeAsAgent(config, ["-m", "1777", COMPUTER.temporary]);
  if (missing.length > 0) await makeAsAgent(config, missing);
}

function makeOwn(path: string, mode: number): void {
  if (isFolder(path)) return;
  mkdirSync(path, { mode });
  chmodSync(path, mode);
}

async function makeAsAgent({ agentUid, spawnPrefix }: Config, words: readonly string[]): Promise<void> {
  const changesUid = spawnPrefix.length === 0 && agentUid !== process.getuid?.();
  await promisify(execFile)("mkdir", [...words], {
    cwd: "/",
    ...(changesUid ? { uid: agentUid, gid: agentUid } : {}),
  });
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
