import { createHash } from "node:crypto";
import { existsSync, realpathSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { DriverError } from "../driver.ts";
import { findProgram, runProgram, SYSTEM_PATH } from "./programs.ts";

/** Where the Node.js that runs the control plane, and an npm, are inside. */
export const NODE_INSIDE = "/opt/raworc/node";
/** Changes when a computer's insides change in a way that artifacts depend on. */
const FORMAT = "sandbox 1";

/** Programs of this machine that computers get beside its `/usr`. */
export interface Toolchains {
  /** Folder with the program file `node`. */
  readonly nodeProgram: string;
  readonly npmFolder: string | null;
  /** Folders of people's homes that are mounted at the same paths: for all, and for builders alone. */
  readonly shared: readonly string[];
  readonly building: readonly string[];
  /** Folders for the PATH, first to last. */
  readonly path: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * Finds what people keep in their homes: Rust by rustup, Python by pyenv. Only the folders of programs are taken, since the
 * ones around them hold settings and credentials. No home: the root brings its own.
 */
export async function findToolchains(userHome: string | null, path: string): Promise<Toolchains> {
  const rust = userHome === null ? NOTHING : await findRust(userHome);
  const python = userHome === null ? NOTHING : await findPython(userHome, path);
  return {
    nodeProgram: realpathSync(process.execPath),
    npmFolder: findNpm(),
    shared: python.folders,
    building: rust.folders,
    path: [...python.path, ...rust.path],
    environment: rust.environment,
  };
}

interface Found {
  readonly folders: readonly string[];
  readonly path: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

const NOTHING: Found = { folders: [], path: [], environment: {} };

/** The default toolchain's own programs come first: rustup's need to be told where its home is. */
async function findRust(userHome: string): Promise<Found> {
  const programs = join(userHome, ".cargo", "bin");
  if (!existsSync(join(programs, "cargo"))) return NOTHING;
  const home = join(userHome, ".rustup");
  const settings = join(home, "settings.toml");
  const toolchains = join(home, "toolchains");
  if (!existsSync(toolchains)) return { ...NOTHING, folders: [programs], path: [programs] };
  const chosen = /^default_toolchain = "([\w.-]+)"/m.exec(await readFile(settings, "utf8").catch(() => ""))?.[1];
  return {
    folders: [programs, toolchains, ...(existsSync(settings) ? [settings] : [])],
    path: [...(chosen === undefined ? [] : [join(toolchains, chosen, "bin")]), programs],
    environment: { RUSTUP_HOME: home, RUSTUP_AUTO_INSTALL: "0" },
  };
}

/** pyenv's shims need all of pyenv; so the versions that it would choose come onto the PATH themselves. */
async function findPython(userHome: string, path: string): Promise<Found> {
  const home = join(userHome, ".pyenv");
  const versions = join(home, "versions");
  if (!existsSync(versions)) return NOTHING;
  const text = await readFile(join(home, "version"), "utf8").catch(() => "");
  const chosen = text.split(/\s+/).filter((version) => /^[\w.-]+$/.test(version));
  const programs = chosen.map((version) => join(versions, version, "bin")).filter((folder) => existsSync(folder));
  // Where the system's Python comes first on the PATH it is what this user means by `python3`.
  const first = await findProgram("python3", path.split(":"));
  const preferred = first?.startsWith(`${home}/`) === true;
  return { folders: [versions], path: preferred ? programs : [], environment: {} };
}

/** The npm that this package depends on, with which builds have one wherever the control plane runs. */
function findNpm(): string | null {
  try {
    return dirname(fileURLToPath(import.meta.resolve("npm/package.json")));
  } catch {
    return null;
  }
}

/** PATH inside. */
export function pathInside({ path }: Toolchains): string {
  return [`${NODE_INSIDE}/bin`, ...path, SYSTEM_PATH].join(":");
}

/** Digest over what artifacts depend on: versions of languages and the C library, and where they are. */
export async function digestToolchains(toolchains: Toolchains, rootDirectory: string | null): Promise<string> {
  const PATH = [...toolchains.path, SYSTEM_PATH].join(":");
  const version = async (...words: [string, ...string[]]): Promise<string> => {
    const { ok, stdout, complaint } = await runProgram(words, { env: { PATH, ...toolchains.environment } });
    return ok ? `${stdout}${complaint}`.trim() : "none";
  };
  const versions = await Promise.all([
    version("python3", "--version"),
    version("rustc", "--version"),
    version("ldd", "--version"),
  ]);
  const root = rootDirectory === null ? "machine" : `${rootDirectory} ${statSync(join(rootDirectory, "usr")).mtimeMs}`;
  const parts = [FORMAT, root, process.version, process.arch, ...toolchains.path, ...toolchains.shared, ...versions];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

/** Throws DriverError where builds would lack npm. */
export function requireNpm({ npmFolder }: Toolchains): string {
  if (npmFolder !== null) return npmFolder;
  throw new DriverError("The npm package is not installed beside the server. Install Raworc again.", {
    transient: false,
  });
}
