import type { AgentPlan } from "../../domain/manifest.ts";
import { cleanLine } from "./output-lines.ts";
import { runScript } from "./script.ts";
import type { StepRunner } from "./step-runner.ts";

const LABEL_CHARACTERS = 100;

export interface BuildCommandPlace {
  readonly directory: string;
  /** Comes first on the PATH: the programs of the agent's dependencies. */
  readonly programs: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** The manifest's own command, where there is one, with all dependencies there. Throws BuildFailure. */
export async function runBuildCommand(
  steps: StepRunner,
  { buildCommand }: AgentPlan,
  { directory, programs, environment = {} }: BuildCommandPlace,
): Promise<void> {
  if (buildCommand === undefined) return;
  const first = cleanLine(buildCommand.split("\n", 1)[0] ?? "");
  const shown = first.length > LABEL_CHARACTERS ? `${first.slice(0, LABEL_CHARACTERS)}…` : first;
  const script = 'PATH="$1:$PATH" && export PATH && exec sh -c "$2"';
  const label = `build_command (${shown})`;
  await runScript(steps, { label, script, arguments: [programs, buildCommand], cwd: directory, environment });
}
