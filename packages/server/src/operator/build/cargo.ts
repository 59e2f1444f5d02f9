import { COMPUTER } from "@raworc/contract";
import { BuildFailure } from "./build-failure.ts";
import { CargoMetadata } from "./cargo-target.ts";
import { attemptScript, runScript } from "./script.ts";
import type { StepRunner } from "./step-runner.ts";

/** Where cargo is run, and what it says about what is there. */
export interface CargoPlace {
  readonly directory: string;
  readonly metadata: CargoMetadata;
}

export const CARGO_ENVIRONMENT: Readonly<Record<string, string>> = {
  CARGO_HOME: `${COMPUTER.cache}/cargo`,
  CARGO_TERM_COLOR: "never",
  CARGO_TERM_PROGRESS_WHEN: "never",
  CARGO_INCREMENTAL: "0",
};

/** Throws BuildFailure `runtime_unknown` where builders have no cargo. */
export async function requireCargo(steps: StepRunner): Promise<void> {
  const call = { label: "look for cargo", script: "cargo --version", arguments: [], quiet: true };
  const end = await attemptScript(steps, { ...call, environment: CARGO_ENVIRONMENT });
  if (end.exitCode === 0) return steps.log(`# ${new TextDecoder().decode(end.stdout).trim().slice(0, 80)}`);
  const message =
    "There is no cargo for builds here. Install Rust on the server's machine (https://rustup.rs, or the packages cargo and rustc), or use the docker driver, whose builder image has it.";
  throw new BuildFailure("runtime_unknown", message, end.tail);
}

/** Throws BuildFailure. */
export async function readMetadata(steps: StepRunner, directory: string): Promise<CargoMetadata> {
  const script = "exec cargo metadata --no-deps --format-version 1 --offline";
  const call = { label: "read Cargo.toml", script, arguments: [], cwd: directory, environment: CARGO_ENVIRONMENT };
  const { stdout } = await runScript(steps, { ...call, quiet: true });
  try {
    return CargoMetadata.parse(JSON.parse(new TextDecoder().decode(stdout)));
  } catch {
    throw new BuildFailure("manifest_invalid", "What cargo says about the package can't be read.");
  }
}
