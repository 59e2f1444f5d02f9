import type { AgentFolder } from "./agent-folder.ts";

import { runBuildCommand } from "./build-command.ts";
import { BuildFailure } from "./build-failure.ts";
import { CARGO_ENVIRONMENT, type CargoPlace, readMetadata, requireCargo } from "./cargo.ts";
import { type CargoTarget, chooseCargoTarget } from "./cargo-target.ts";
import type { Built } from "./recipe.ts";
import { buildRustWorker } from "./rust-worker.ts";
import { findFiles, runScript } from "./script.ts";
import type { StepRunner } from "./step-runner.ts";

/** Below the agent's folder in the artifact; nobody else's name. */
const PROGRAMS = ".raworc";

/** One program: a binary of the package, or the worker with the package's library linked in. */
export async function buildRust(steps: StepRunner, folder: AgentFolder, artifact: string): Promise<Built> {
  const { directory, plan } = folder;
  await requireCargo(steps);
  const metadata = await readMetadata(steps, directory);
  const target = chooseCargoTarget(metadata, directory, plan.handler);
  const program = target.kind === "binary" ? target.name : "worker";
  const cargo = { directory, metadata };
  if (target.kind === "binary") await buildBinary(steps, target, cargo);
  else await buildRustWorker(steps, target, cargo);
  const { target_directory: output } = metadata;
  const built = target.kind === "binary" ? target.name : "raworc-worker";
  await runBuildCommand(steps, plan, { directory, programs: `${output}/release`, environment: CARGO_ENVIRONMENT });
  const [found] = await findFiles(steps, output, [`release/${built}`, `*/release/${built}`]);
  if (found === undefined) {
    throw new BuildFailure("build_command_failed", `cargo built no program ${built} below ${output}.`);
  }
  await keep(steps, directory, artifact, `${output}/${found.file}`, program);
  const handler = plan.handler ?? (target.kind === "binary" ? target.name : `lib.${target.function}`);
  return { handler, kind: target.kind === "binary" ? "binary" : "worker", program: `${PROGRAMS}/${program}` };
}

async function buildBinary(
  steps: StepRunner,
  target: Extract<CargoTarget, { kind: "binary" }>,
  { directory, metadata }: CargoPlace,
): Promise<void> {
  const [lock] = await findFiles(steps, metadata.workspace_root, ["Cargo.lock"]);
  const locked = lock === undefined ? "" : "--locked";
  const script = `exec cargo build --release ${locked} --package "$1" --bin "$2"`;
  const label = `cargo build --release --bin ${target.name}`;
  const given = [target.package, target.name];
  await runScript(steps, { label, script, arguments: given, cwd: directory, environment: CARGO_ENVIRONMENT });
}

/** The agent's own files, for what it reads beside itself, without what cargo made on the way. */
async function keep(
  steps: StepRunner,
  directory: string,
  artifact: string,
  built: string,
  program: string,
): Promise<void> {
  const script = [
    'mkdir -p -- "$2"',
    'find "$1" -mindepth 1 -maxdepth 1 ! -name target ! -name .git -exec cp -a -t "$2" -- {} +',
    `rm -rf -- "$2/${PROGRAMS}"`,
    `mkdir -- "$2/${PROGRAMS}"`,
    `cp -- "$3" "$2/${PROGRAMS}/$4"`,
    `{ strip --strip-debug -- "$2/${PROGRAMS}/$4" 2>/dev/null || true; }`,
  ].join(" && ");
  const call = { label: "keep the program", script, arguments: [directory, artifact, built, program], quiet: true };
  await runScript(steps, call);
}
