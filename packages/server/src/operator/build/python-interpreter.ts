import { BuildFailure } from "./build-failure.ts";
import { attemptScript, findFiles, runScript } from "./script.ts";
import type { StepEnd, StepRunner } from "./step-runner.ts";

/** Where pyenv keeps versions beside the one that is on the PATH. */
const OTHERS = ["root/.pyenv/versions/*/bin", "home/*/.pyenv/versions/*/bin"];

/**
 * The Python that was asked for, `python3.12`, or the one that builders have. Throws BuildFailure `runtime_unknown` where it
 * is missing or can't make environments.
 */
export async function findInterpreter(steps: StepRunner, wanted: string | undefined): Promise<string> {
  const name = wanted ?? "python3";
  const first = await probe(steps, name);
  if (first.exitCode === 0) return choose(steps, name, first);
  for (const { file } of wanted === undefined
    ? []
    : await findFiles(
        steps,
        "/",
        OTHERS.map((place) => `${place}/${name}`),
      )) {
    const end = await probe(steps, `/${file}`);
    if (end.exitCode === 0) return choose(steps, `/${file}`, end);
  }
  throw await missing(steps, name, wanted, first);
}

function probe(steps: StepRunner, program: string): Promise<StepEnd> {
  const script = 'exec "$1" -c "import ensurepip, sys, venv; print(sys.version.split()[0])"';
  return attemptScript(steps, { label: "look for Python", script, arguments: [program], quiet: true });
}

async function choose(steps: StepRunner, program: string, { stdout }: StepEnd): Promise<string> {
  await steps.log(`# Python ${new TextDecoder().decode(stdout).trim().slice(0, 40)}`);
  return program;
}

async function missing(
  steps: StepRunner,
  name: string,
  wanted: string | undefined,
  { tail }: StepEnd,
): Promise<BuildFailure> {
  if (tail.some((line) => line.includes("ModuleNotFoundError"))) {
    const message = `${name} can't make virtual environments here: its modules venv and ensurepip are missing. Install python3-venv on the server's machine.`;
    return new BuildFailure("runtime_unknown", message, tail);
  }
  const others = await listInterpreters(steps);
  const there = others.length === 0 ? "There is none." : `There is ${others.join(", ")}.`;
  const remedy =
    wanted === undefined
      ? "Install Python 3 with python3-venv on the server's machine, or use an image that has it (RAWORC_SESSION_IMAGE)."
      : `Write one of these or "python" as the "runtime" in raworc.json, or install ${name} on the server's machine (docker: in the session image).`;
  return new BuildFailure("runtime_unknown", `There is no ${name} for agents here. ${there} ${remedy}`);
}

/** Pythons that really start, such as `python3.11`. */
async function listInterpreters(steps: StepRunner): Promise<string[]> {
  const script = `IFS=:
  for folder in $PATH "$@"; do
    IFS=
    for file in $folder/python3.*; do
      case "\${file##*/}" in python3.*[!0-9]*) continue;; esac
      "$file" -c '' 2>/dev/null && printf '%s\\n' "\${file##*/}"
    done
  done; true`;
  const given = OTHERS.map((place) => `/${place}`);
  const { stdout } = await runScript(steps, { label: "list Pythons", script, arguments: given, quiet: true });
  const names = new TextDecoder().decode(stdout).split("\n");
  return [...new Set(names.filter((name) => /^python3\.\d{1,3}$/.test(name)))].sort();
}
