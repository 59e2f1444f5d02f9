import { readFile, realpath, stat } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import type { Source } from "../../domain/source.ts";
import type { ComputerMount } from "../../runtime/driver.ts";
import { BuildFailure } from "./build-failure.ts";

/** A source as git inside a builder reaches it. */
export interface SourceAccess {
  /** What git is given. */
  readonly address: string;
  /** What people are told. */
  readonly name: string;
  /** Of a repository on this machine. */
  readonly local: LocalRepository | null;
  readonly mounts: readonly ComputerMount[];
}

export interface LocalRepository {
  /** Git's own folder of this working tree, or of the bare repository. */
  readonly folder: string;
  /** Git's folder that all working trees of the repository share. */
  readonly common: string;
}

const TARGET = "/source";
const GIT_FILE_MAX_BYTES = 4096;

/**
 * What a builder needs mounted to fetch from a source: of a local repository git's own folder alone, so that files which
 * are not committed stay out of the builder. A remote one needs nothing. Throws BuildFailure `source_not_found`.
 */
export async function accessSource(source: Source): Promise<SourceAccess> {
  if (source.kind === "remote") return { address: source.address, name: source.name, local: null, mounts: [] };
  const folder = await findGitFolder(source.path);
  const common = await commonFolder(folder);
  if (await exists(join(common, "objects/info/alternates"), "file")) {
    throw absent(
      `${source.path} borrows objects from another repository, which a builder can't see. Run \`git repack -ad\` in it and remove .git/objects/info/alternates.`,
    );
  }
  const address = join(TARGET, relative(common, folder));
  return { address, name: source.path, local: { folder, common }, mounts: [{ source: common, target: TARGET }] };
}

async function findGitFolder(path: string): Promise<string> {
  const real = await realpath(path).catch(() => undefined);
  if (real === undefined || !(await exists(real, "folder"))) {
    throw absent(`There is no folder ${path} on the server's machine. Check the path.`);
  }
  const own = await gitFolderAt(real);
  if (own !== undefined) return own;
  for (let above = dirname(real); above !== dirname(above); above = dirname(above)) {
    if ((await gitFolderAt(above)) === undefined) continue;
    throw absent(
      `${path} is a folder within the repository ${above}. Give that as source_repo and ${relative(above, real)} as source_path.`,
    );
  }
  throw absent(`${path} is no git repository. Run \`git init\` there and commit the agent's files.`);
}

/** Git's own folder of the repository, working tree or bare repository at a path. */
async function gitFolderAt(path: string): Promise<string | undefined> {
  const inside = join(path, ".git");
  if (await exists(inside, "file")) {
    const text = await readSmall(inside);
    const target = /^gitdir: ([^\n\0]+)\n?$/.exec(text)?.[1];
    const folder = target === undefined ? undefined : await realpath(resolve(path, target)).catch(() => undefined);
    return folder !== undefined && (await isGitFolder(folder)) ? folder : undefined;
  }
  if (await isGitFolder(inside)) return realpath(inside);
  return (await isGitFolder(path)) ? path : undefined;
}

async function isGitFolder(path: string): Promise<boolean> {
  if (!(await exists(join(path, "HEAD"), "file"))) return false;
  const common = await commonFolder(path);
  return (await exists(join(common, "objects"), "folder")) && (await exists(join(common, "refs"), "folder"));
}

/** Where a further working tree keeps what it shares with the first one. */
async function commonFolder(folder: string): Promise<string> {
  const file = join(folder, "commondir");
  if (!(await exists(file, "file"))) return folder;
  return realpath(resolve(folder, (await readSmall(file)).trimEnd())).catch(() => folder);
}

async function readSmall(path: string): Promise<string> {
  const { size } = await stat(path);
  return size > GIT_FILE_MAX_BYTES ? "" : readFile(path, "utf8");
}

async function exists(path: string, kind: "file" | "folder"): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return kind === "file" ? found?.isFile() === true : found?.isDirectory() === true;
}

function absent(message: string): BuildFailure {
  return new BuildFailure("source_not_found", message);
}
