import { splitHandler } from "../../domain/manifest.ts";
import { type AgentFolder, readText } from "./agent-folder.ts";
import { copyToArtifact } from "./artifact-folder.ts";
import { runBuildCommand } from "./build-command.ts";
import { BuildFailure } from "./build-failure.ts";
import { checkMember, findModule, JAVASCRIPT, type ModuleCandidate } from "./handler-check.ts";
import { chooseInstaller, type Installer, NPM_ENVIRONMENT } from "./node-installer.ts";
import { type NodePackage, readNodePackage } from "./node-package.ts";
import type { Built } from "./recipe.ts";
import { attemptScript, runScript } from "./script.ts";
import type { StepRunner } from "./step-runner.ts";

const PACKAGE_FILE = "package.json";
const ENDINGS = [".js", ".mjs", ".cjs", ".ts", ".mts", ".cts"];

/** The agent's packages, then its build_command with those for development there too. */
export async function buildNode(steps: StepRunner, folder: AgentFolder, artifact: string): Promise<Built> {
  const { entries, plan } = folder;
  const files = new Set(entries.filter(({ kind }) => kind === "file").map(({ name }) => name));
  await copyToArtifact(steps, folder.directory, artifact);
  const description = files.has(PACKAGE_FILE) ? await readText(steps, `${artifact}/${PACKAGE_FILE}`) : undefined;
  const found = description === undefined ? undefined : readNodePackage(description);
  const installer = found === undefined ? undefined : chooseInstaller(files, found);
  if (installer !== undefined) await install(steps, installer, artifact);
  const programs = `${artifact}/node_modules/.bin`;
  await runBuildCommand(steps, plan, { directory: artifact, programs, environment: NPM_ENVIRONMENT });
  await checkHandler(steps, folder, found, artifact);
  if (installer?.prune !== undefined && found?.hasDevelopment === true) await prune(steps, installer.prune, artifact);
  return { handler: plan.handler ?? "", kind: "worker" };
}

async function install(steps: StepRunner, { label, script, environment }: Installer, artifact: string): Promise<void> {
  await runScript(steps, { label, script, arguments: [], cwd: artifact, environment });
}

/** What only development needs is left out. An agent runs with it too, so a tool that can't do it is no failure. */
async function prune(steps: StepRunner, script: string, artifact: string): Promise<void> {
  const label = "leave out what only development needs";
  const end = await attemptScript(steps, { label, script, arguments: [], cwd: artifact });
  if (end.exitCode !== 0) await steps.log("That failed; they stay.");
}

/** Throws BuildFailure `handler_not_found`. */
async function checkHandler(
  steps: StepRunner,
  { entries, plan }: AgentFolder,
  found: NodePackage | undefined,
  artifact: string,
): Promise<void> {
  const { handler = "" } = plan;
  const scripts = entries.filter(({ name, kind }) => kind === "file" && /\.[cm]?[jt]s$/.test(name));
  const there = scripts.map(({ name }) => name.slice(0, 80)).slice(0, 6);
  const has = there.length === 0 ? "" : `There is ${there.join(", ")}. `;
  const built = found?.hasBuildScript === true && plan.buildCommand === undefined;
  const build = built ? ' If it is built first, set "build_command" to "npm run build".' : "";
  const hint = `${has}Set "handler" in raworc.json to module.export.${build}`;
  const module = await findModule(steps, artifact, nodeModules(handler, found?.main), { handler, hint });
  const { file } = module;
  const check = { label: `check ${file}`, script: 'exec node --check "$1"', arguments: [file], cwd: artifact };
  const end = file.endsWith("ts") ? undefined : await attemptScript(steps, { ...check, quiet: true });
  if (end !== undefined && end.exitCode !== 0) {
    const message = `${file} has an error in its syntax, so it can't be loaded.`;
    throw new BuildFailure("handler_not_found", message, end.tail);
  }
  await checkMember(steps, artifact, JAVASCRIPT, handler, module);
}

/** Where the adapter looks, in its order; `index` is also what package.json calls the main file. */
export function nodeModules(handler: string, main: string | undefined): ModuleCandidate[] {
  const { module, member } = splitHandler(handler);
  const path = module.replace(/^\.\//, "");
  const files = [path, `${path}/index`, `src/${path}`].flatMap((base) => ENDINGS.map((ending) => `${base}${ending}`));
  const exact = ENDINGS.some((ending) => path.endsWith(ending)) ? [path] : [];
  const all = [...exact, ...files, ...(path === "index" && main !== undefined ? [main] : [])];
  return all.map((file) => ({ file, member }));
}
