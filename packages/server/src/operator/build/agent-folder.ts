import { MANIFEST_FILE } from "@raworc/contract";
import { type AgentPlan, type FolderEntry, ManifestError, planAgent } from "../../domain/manifest.ts";
import { BuildFailure } from "./build-failure.ts";
import { CHECKOUT } from "./fetch-source.ts";
import { cleanLine } from "./output-lines.ts";
import type { StepRunner } from "./step-runner.ts";

/** An agent's folder in the checkout, as its own files describe it. */
export interface AgentFolder {
  readonly directory: string;
  readonly entries: readonly FolderEntry[];
  readonly plan: AgentPlan;
}

const ENTRIES_MAX = 5000;
const MANIFEST_MAX_BYTES = 256 * 1024;
const FOLDERS_SHOWN = 8;

/** Throws BuildFailure `source_not_found`, `manifest_invalid` or `runtime_unknown`. */
export async function readAgentFolder(steps: StepRunner, folder: string | null): Promise<AgentFolder> {
  const directory = folder === null ? CHECKOUT : `${CHECKOUT}/${folder}`;
  const entries = await listFolder(steps, directory);
  if (entries === undefined) {
    const hint = describeFolders(await findAgents(steps));
    throw new BuildFailure("source_not_found", `The repository has no folder ${JSON.stringify(folder)}.${hint}`);
  }
  const manifest = entries.find(({ name }) => name === MANIFEST_FILE);
  if (manifest !== undefined && manifest.kind !== "file") {
    throw new BuildFailure("manifest_invalid", `${MANIFEST_FILE} must be a plain file, not a folder or link.`);
  }
  const text = manifest === undefined ? undefined : await readText(steps, `${directory}/${MANIFEST_FILE}`);
  try {
    return { directory, entries, plan: planAgent(entries, text) };
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    const hint = manifest === undefined ? describeFolders(await findAgents(steps)) : "";
    throw new BuildFailure(error.code, `${error.message}${hint}`);
  }
}

/** A small text file of the agent. Throws BuildFailure `manifest_invalid`. */
export async function readText(steps: StepRunner, path: string): Promise<string> {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const command = ["head", "-c", String(MANIFEST_MAX_BYTES + 1), "--", path];
  const { stdout } = await steps.run({ label: `read ${name}`, command, cwd: "/", quiet: true });
  if (stdout.length > MANIFEST_MAX_BYTES) throw new BuildFailure("manifest_invalid", `${name} is larger than 256 KiB.`);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(stdout);
  } catch {
    throw new BuildFailure("manifest_invalid", `${name} is not UTF-8 text.`);
  }
}

/** Undefined where there is no such folder. A link counts as no folder: it could lead out of the repository. */
async function listFolder(steps: StepRunner, directory: string): Promise<FolderEntry[] | undefined> {
  const script = `cd -P -- "$1" && case "$(pwd -P)/" in "$2"/*) ;; *) exit 1;; esac && find . -mindepth 1 -maxdepth 1 -printf '%y%f\\0'`;
  const command = ["sh", "-c", script, "list", directory, CHECKOUT];
  const end = await steps.attempt({ label: "read the agent's folder", command, cwd: "/", quiet: true });
  if (end.exitCode !== 0) return undefined;
  const found = new TextDecoder().decode(end.stdout).split("\0").slice(0, -1);
  if (found.length > ENTRIES_MAX) {
    throw new BuildFailure("manifest_invalid", `The agent's folder holds more than ${ENTRIES_MAX} files and folders.`);
  }
  const kinds = { f: "file", d: "folder" } as const;
  return found.map((entry) => {
    const kind = entry.startsWith("f") ? kinds.f : entry.startsWith("d") ? kinds.d : "other";
    return { name: entry.slice(1), kind };
  });
}

/** Folders of the repository that hold a manifest, for a hint. */
async function findAgents(steps: StepRunner): Promise<string[]> {
  const command = ["find", ".", "-mindepth", "2", "-maxdepth", "4", "-name", MANIFEST_FILE, "-printf", "%h\\0"];
  const end = await steps.attempt({ label: "look for agents", command, cwd: CHECKOUT, quiet: true });
  const folders = new TextDecoder().decode(end.stdout).split("\0").slice(0, -1);
  return folders
    .map((folder) => cleanLine(folder.replace(/^\.\//, "").slice(0, 200)))
    .sort()
    .slice(0, FOLDERS_SHOWN + 1);
}

function describeFolders(folders: readonly string[]): string {
  if (folders.length === 0) return "";
  const shown = folders.slice(0, FOLDERS_SHOWN).join(", ");
  return ` There are agents in ${shown}${folders.length > FOLDERS_SHOWN ? ", …" : ""}: set source_path.`;
}
