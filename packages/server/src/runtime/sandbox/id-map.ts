import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { COMPUTER } from "@raworc/contract";
import { findProgram } from "./programs.ts";

/**
 * How ids inside come to ids of this machine. `own`: root may map any, each computer has a range of its own. `given`: a user
 * has a range in /etc/subuid and /etc/subgid. `single`: a user has nothing but its own id.
 */
export type IdMapping =
  | { readonly kind: "own" }
  | { readonly kind: "given"; readonly uid: IdRange; readonly gid: IdRange }
  | { readonly kind: "single" };

export interface IdRange {
  readonly first: number;
  readonly count: number;
}

export const RANGE_SIZE = 65_536;
/** The ids that container tools use for such ranges; users and services of a machine are below. */
const RANGES_FROM = 524_288;
const RANGES = 28_000;

export async function findIdMapping(): Promise<IdMapping> {
  if (process.getuid?.() === 0) return { kind: "own" };
  const [uid, gid] = await Promise.all([readRange("/etc/subuid"), readRange("/etc/subgid")]);
  const programs = await Promise.all([findProgram("newuidmap"), findProgram("newgidmap"), findProgram("nsenter")]);
  if (uid === undefined || gid === undefined || programs.includes(undefined)) return { kind: "single" };
  return { kind: "given", uid, gid };
}

/** First id of a new volume's range. Two computers of a machine may share one, and still see nothing of each other. */
export function firstIdOf(mapping: IdMapping, label: string, id: string): number {
  switch (mapping.kind) {
    case "own": {
      const digest = createHash("sha256").update(`${label}/${id}`).digest();
      return RANGES_FROM + (digest.readUInt32BE(0) % RANGES) * RANGE_SIZE;
    }
    // Relative to the user's own namespace, where 0 is the user.
    case "given":
      return 1;
    case "single":
      return 0;
  }
}

/** Lines for uid_map and gid_map. Only root sessions need more ids than the two that programs run with. */
export function mapText(firstId: number, root: boolean): string {
  if (root) return `0 ${firstId} ${RANGE_SIZE}\n`;
  return `0 ${firstId} 1\n${COMPUTER.agentUid} ${firstId + COMPUTER.agentUid} 1\n`;
}

async function readRange(file: string): Promise<IdRange | undefined> {
  const uid = process.getuid?.() ?? 0;
  const username = nameOfUser();
  const text = await readFile(file, "utf8").catch(() => "");
  for (const line of text.split("\n")) {
    const [who, first, count] = line.trim().split(":");
    if (who !== username && who !== String(uid)) continue;
    if (Number(count) >= RANGE_SIZE + 1) return { first: Number(first), count: Number(count) };
    if (Number(count) >= RANGE_SIZE) return { first: Number(first), count: RANGE_SIZE };
  }
  return undefined;
}

/** Undefined for a user that the system has no entry of. */
function nameOfUser(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}
