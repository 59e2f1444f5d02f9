import { COMPUTER } from "@raworc/contract";
import { BuildFailure } from "./build-failure.ts";
import { CARGO_ENVIRONMENT, type CargoPlace } from "./cargo.ts";
import type { CargoTarget } from "./cargo-target.ts";
import { attemptScript, runScript } from "./script.ts";
import { describeEnd, type StepRunner } from "./step-runner.ts";

const WORKER = `${COMPUTER.workspace}/worker`;
const TEMPLATE = `${COMPUTER.program}/adapters/rust`;

type Library = Extract<CargoTarget, { kind: "library" }>;

/**
 * Writes a crate that links the agent's function and speaks the worker protocol, and builds it. It lies outside of the
 * agent's workspace, and uses its lock file and target folder. Throws BuildFailure.
 */
export async function buildRustWorker(
  steps: StepRunner,
  target: Library,
  { directory, metadata }: CargoPlace,
): Promise<void> {
  const lay = [
    'rm -rf -- "$1" && mkdir -p -- "$1/src" && cp -- "$2"/src/*.rs "$1/src/"',
    '{ [ ! -f "$3/Cargo.lock" ] || cp -- "$3/Cargo.lock" "$1/"; }',
    'printf %s "$4" > "$1/src/handler.rs"',
  ].join(" && ");
  const given = [WORKER, TEMPLATE, metadata.workspace_root, handlerSource(target)];
  await runScript(steps, { label: "lay out the worker", script: lay, arguments: given, quiet: true });
  await writeManifest(steps, workerManifest(target, false));
  // Async handlers most often wait for Tokio's sockets and timers, which only work on its own executor.
  const tokio = await usesTokio(steps, directory);
  if (tokio) await writeManifest(steps, workerManifest(target, true));
  const script = 'exec cargo build --release --manifest-path "$1/Cargo.toml" --target-dir "$2"';
  const label = `cargo build --release (lib.${target.function})`;
  const call = { label, script, arguments: [WORKER, metadata.target_directory], cwd: directory };
  const end = await attemptScript(steps, { ...call, environment: CARGO_ENVIRONMENT });
  if (end.exitCode === 0) return;
  if (!end.tail.some((line) => line.includes("could not compile `raworc-worker`"))) {
    throw new BuildFailure("build_command_failed", `${label} failed: ${describeEnd(end)}`, end.tail);
  }
  const message = `The handler ${JSON.stringify(`${target.package}::${target.function}`)} can't be linked. It must be a public function of the library's root such as \`pub fn ${target.function}(message: &str, context: &serde_json::Value) -> String\`; it may be async, and give a Result or an iterator of texts.`;
  throw new BuildFailure("handler_not_found", message, end.tail);
}

async function writeManifest(steps: StepRunner, manifest: string): Promise<void> {
  const script = 'printf %s "$2" > "$1/Cargo.toml"';
  await runScript(steps, { label: "describe the worker", script, arguments: [WORKER, manifest], quiet: true });
}

async function usesTokio(steps: StepRunner, directory: string): Promise<boolean> {
  const script = `cargo tree --manifest-path "$1/Cargo.toml" --edges normal --prefix none --format "{p}"`;
  const call = { label: "read the dependencies", script, arguments: [WORKER], cwd: directory, quiet: true };
  const { stdout } = await runScript(steps, { ...call, environment: CARGO_ENVIRONMENT });
  return /^tokio v1\./m.test(new TextDecoder().decode(stdout));
}

function workerManifest(target: Library, tokio: boolean): string {
  const dependency = tokio ? 'tokio = { version = "1", features = ["rt-multi-thread"] }\n' : "";
  return `[package]
name = "raworc-worker"
version = "0.0.0"
edition = "2021"
publish = false

[dependencies]
agent = { package = ${JSON.stringify(target.package)}, path = ${JSON.stringify(target.folder)} }
serde = "1"
serde_json = "1"
${dependency}
[features]
default = [${tokio ? '"with-tokio"' : ""}]
with-tokio = []

[profile.release]
strip = true

[workspace]
`;
}

function handlerSource(target: Library): string {
  return `use serde_json::Value;

use crate::outcome::{End, Sink};

pub fn call(message: &str, context: &Value, sink: &Sink) -> End {
    crate::give!(agent::${target.function}(message, context), sink)
}
`;
}
