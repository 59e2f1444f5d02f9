import type { Step, StepEnd, StepRunner } from "./step-runner.ts";

export interface ScriptStep extends Omit<Step, "command" | "cwd"> {
  /** For `sh`. What varies is never part of it: it gets that as `$1`, `$2`, … */
  readonly script: string;
  readonly arguments: readonly string[];
  readonly cwd?: string;
}

/** Throws BuildFailure `build_command_failed` unless the script ends with 0. */
export function runScript(steps: StepRunner, step: ScriptStep): Promise<StepEnd> {
  const { script, arguments: given, cwd = "/", ...rest } = step;
  return steps.run({ ...rest, cwd, command: ["sh", "-c", script, "step", ...given] });
}

/** Says how the script ended. */
export function attemptScript(steps: StepRunner, step: ScriptStep): Promise<StepEnd> {
  const { script, arguments: given, cwd = "/", ...rest } = step;
  return steps.attempt({ ...rest, cwd, command: ["sh", "-c", script, "step", ...given] });
}

export interface FoundFile {
  /** Relative to the folder. */
  readonly file: string;
  /** Which of the wanted it is. */
  readonly wanted: string;
}

/** Which of these are files, in the same order. `*` stands for any part of a name. */
export async function findFiles(steps: StepRunner, directory: string, wanted: readonly string[]): Promise<FoundFile[]> {
  const script = `IFS= && cd -- "$1" && shift && for wanted; do
    for file in $wanted; do [ -f "$file" ] && printf '%s\\0%s\\0' "$file" "$wanted"; done
  done; true`;
  const call = { label: "look for files", script, arguments: [directory, ...wanted], quiet: true };
  const { stdout } = await runScript(steps, call);
  const words = new TextDecoder().decode(stdout).split("\0").slice(0, -1);
  return words.flatMap((file, index) => (index % 2 === 0 ? { file, wanted: words[index + 1] ?? file } : []));
}
