import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import type { LocalRepository } from "./source-access.ts";

const HASH = /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/;
/** Names that are safe as a path below the repository's folder. */
const BRANCH = /^refs\/heads\/(?!.*(?:\.\.|\/\/|\/\.))(?![./])[^\s~^:?*[\\\p{Cc}]+$/u;
const REFERENCE_MAX_BYTES = 4096;
const PACKED_MAX_BYTES = 32 * 1024 * 1024;

export interface FoundReference {
  readonly commit: string;
  /** Null where HEAD names a commit and no branch. */
  readonly reference: string | null;
}

/**
 * The commit of a branch as the files of a local repository say it: no program runs on what a stranger may have written.
 * Undefined where these files don't tell (tags, other ways of keeping references, no such branch): then git must be asked.
 */
export async function readLocalReference(
  repository: LocalRepository,
  branch: string | null,
): Promise<FoundReference | undefined> {
  const name = branch === null ? await readHead(repository) : nameOf(branch);
  if (name === undefined) return undefined;
  if (HASH.test(name)) return { commit: name, reference: null };
  if (!BRANCH.test(name)) return undefined;
  const loose = await readSmall(join(repository.common, name), REFERENCE_MAX_BYTES);
  const commit = loose === undefined ? await findPacked(repository, name) : loose.trimEnd();
  return commit !== undefined && HASH.test(commit) ? { commit, reference: name } : undefined;
}

function nameOf(branch: string): string | undefined {
  if (!branch.startsWith("refs/")) return `refs/heads/${branch}`;
  return branch;
}

async function readHead({ folder }: LocalRepository): Promise<string | undefined> {
  const head = (await readSmall(join(folder, "HEAD"), REFERENCE_MAX_BYTES))?.trimEnd();
  return head?.startsWith("ref: ") === true ? head.slice("ref: ".length).trim() : head;
}

async function findPacked({ common }: LocalRepository, name: string): Promise<string | undefined> {
  const packed = await readSmall(join(common, "packed-refs"), PACKED_MAX_BYTES);
  const line = packed?.split("\n").find((candidate) => candidate.endsWith(` ${name}`));
  return line?.slice(0, line.indexOf(" "));
}

/** Undefined unless it is a plain file of that size. Opened without waiting: it might be a pipe. */
async function readSmall(path: string, mostBytes: number): Promise<string | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch {
    return undefined;
  }
  try {
    const found = await file.stat();
    return found.isFile() && found.size <= mostBytes ? await file.readFile("utf8") : undefined;
  } finally {
    await file.close();
  }
}
