import { z } from "zod";
import type { AgentFolder } from "./agent-folder.ts";
import { copyToArtifact } from "./artifact-folder.ts";
import { runBuildCommand } from "./build-command.ts";
import { BuildFailure } from "./build-failure.ts";
import { checkMember, findModule, type ModuleCandidate, PYTHON } from "./handler-check.ts";
import { findInterpreter } from "./python-interpreter.ts";
import type { Built } from "./recipe.ts";
import { attemptScript, runScript } from "./script.ts";
import type { StepRunner } from "./step-runner.ts";

const ENVIRONMENT = ".venv";
const PIP = "-m pip --no-input --disable-pip-version-check --no-cache-dir install --progress-bar off";

/** An environment of the agent's own with what it needs, then the agent's build_command. */
export async function buildPython(steps: StepRunner, folder: AgentFolder, artifact: string): Promise<Built> {
  const { entries, plan } = folder;
  const has = (name: string) => entries.some((entry) => entry.name === name && entry.kind === "file");
  const interpreter = await findInterpreter(steps, plan.interpreter);
  await copyToArtifact(steps, folder.directory, artifact);
  const installs = has("requirements.txt") || has("pyproject.toml") || plan.buildCommand !== undefined;
  await makeEnvironment(steps, interpreter, artifact, installs);
  if (has("requirements.txt")) {
    const script = `exec .venv/bin/python ${PIP} -r requirements.txt`;
    await runScript(steps, { label: "install requirements.txt", script, arguments: [], cwd: artifact });
  }
  if (has("pyproject.toml")) await installProject(steps, artifact);
  const programs = `${artifact}/${ENVIRONMENT}/bin`;
  const environment = { VIRTUAL_ENV: `${artifact}/${ENVIRONMENT}` };
  await runBuildCommand(steps, plan, { directory: artifact, programs, environment });
  const handler = plan.handler ?? "main.process_message";
  await checkHandler(steps, folder, artifact, handler);
  // Compiled now, since nobody may write there later. What doesn't compile is not always used.
  const compile = ".venv/bin/python -m compileall -q . > /dev/null 2>&1 || true";
  await runScript(steps, { label: "compile", script: compile, arguments: [], cwd: artifact, quiet: true });
  return { handler, kind: "worker" };
}

async function makeEnvironment(
  steps: StepRunner,
  interpreter: string,
  artifact: string,
  withInstaller: boolean,
): Promise<void> {
  const installer = withInstaller ? "" : "--without-pip";
  const script = `rm -rf -- ${ENVIRONMENT} && exec "$1" -m venv ${installer} "$2/${ENVIRONMENT}"`;
  const label = "make the virtual environment";
  await runScript(steps, { label, script, arguments: [interpreter, artifact], cwd: artifact });
}

/** A package is installed with what it depends on; a file that only lists dependencies has just these installed. */
async function installProject(steps: StepRunner, artifact: string): Promise<void> {
  const reader = `
import json
try:
    import tomllib
except ImportError:
    from pip._vendor import tomli as tomllib
with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)
names = [] if "build-system" in project else project.get("project", {}).get("dependencies", [])
json.dump({"package": "build-system" in project, "dependencies": names}, __import__("sys").stdout)
`;
  const label = "read pyproject.toml";
  const script = 'exec .venv/bin/python -c "$1"';
  const end = await attemptScript(steps, { label, script, arguments: [reader], cwd: artifact, quiet: true });
  if (end.exitCode !== 0) {
    const message = `pyproject.toml can't be read: ${end.tail.at(-1) ?? "no reason given"}.`;
    throw new BuildFailure("manifest_invalid", message);
  }
  const project = readProject(new TextDecoder().decode(end.stdout));
  if (project === undefined)
    throw new BuildFailure("manifest_invalid", "The dependencies in pyproject.toml are no list of texts.");
  if (project.package) {
    const install = `exec .venv/bin/python ${PIP} .`;
    await runScript(steps, { label: "install pyproject.toml", script: install, arguments: [], cwd: artifact });
  } else if (project.dependencies.length > 0) {
    const install = `exec .venv/bin/python ${PIP} -- "$@"`;
    const call = { label: "install the dependencies of pyproject.toml", script: install, cwd: artifact };
    await runScript(steps, { ...call, arguments: project.dependencies });
  }
}

const PythonProject = z.object({ package: z.boolean(), dependencies: z.array(z.string()).max(1000) });

function readProject(text: string): z.infer<typeof PythonProject> | undefined {
  try {
    return PythonProject.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

async function checkHandler(steps: StepRunner, folder: AgentFolder, artifact: string, handler: string): Promise<void> {
  const scripts = folder.entries.filter(({ name, kind }) => kind === "file" && name.endsWith(".py"));
  const there = scripts.map(({ name }) => name.slice(0, 80)).slice(0, 6);
  const has = there.length === 0 ? "" : `There is ${there.join(", ")}. `;
  const hint = `${has}Set "handler" in raworc.json to module.function.`;
  const module = await findModule(steps, artifact, pythonModules(handler), { handler, hint });
  if (!module.file.endsWith(".py")) return;
  const script = 'exec .venv/bin/python -m py_compile "$1"';
  const call = { label: `compile ${module.file}`, script, arguments: [module.file], cwd: artifact, quiet: true };
  const end = await attemptScript(steps, call);
  if (end.exitCode !== 0) {
    const message = `${module.file} has an error in its syntax, so it can't be loaded.`;
    throw new BuildFailure("handler_not_found", message, end.tail);
  }
  await checkMember(steps, artifact, PYTHON, handler, module);
}

/** `a/b.c.d` may be `d` of the module a.b.c, or `c.d` of a.b: the longer module first, and what is installed last. */
export function pythonModules(handler: string): ModuleCandidate[] {
  const folders = handler.split("/").filter((part) => part !== "" && part !== ".");
  const dotted = (folders.pop() ?? "").split(".");
  const parts = dotted.length > 2 && dotted[1] === "py" ? dotted.toSpliced(1, 1) : dotted;
  const modules = parts.slice(1).map((member, index) => {
    const path = [...folders, ...parts.slice(0, index + 1)].join("/");
    return { path, member };
  });
  const endings = [".py", "/__init__.py", ".*.so"];
  return ["", `${ENVIRONMENT}/lib/python3*/site-packages/`].flatMap((place) =>
    modules
      .toReversed()
      .flatMap(({ path, member }) => endings.map((ending) => ({ file: `${place}${path}${ending}`, member }))),
  );
}
