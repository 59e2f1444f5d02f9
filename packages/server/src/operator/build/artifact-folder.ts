import { COMPUTER } from "@raworc/contract";
import { BuildFailure } from "./build-failure.ts";
import { cleanLine } from "./output-lines.ts";
import { runScript } from "./script.ts";
import type { StepRunner } from "./step-runner.ts";

const LINKS_SHOWN = 3;

/** Copies the agent's folder from the checkout to where it is built. */
export async function copyToArtifact(steps: StepRunner, directory: string, artifact: string): Promise<void> {
  const script = 'mkdir -p -- "$2" && cp -a -- "$1/." "$2/"';
  await runScript(steps, { label: "copy the agent's folder", script, arguments: [directory, artifact], quiet: true });
}

/**
 * Makes the folder fit for sessions: without git's own files, and readable by all. Links to the builder's own volume would
 * lead nowhere in a session. Throws BuildFailure `build_command_failed`.
 */
export async function finishArtifact(steps: StepRunner, artifact: string): Promise<void> {
  const script = [
    'rm -rf -- "$1/.git"',
    'find "$1" -type l -lname "$2/*" -printf "%P\\0"',
    'chmod -R a+rX,go-w,ug-s -- "$1"',
  ].join(" && ");
  const call = { label: "finish the artifact", script, arguments: [artifact, COMPUTER.session], quiet: true };
  const { stdout } = await runScript(steps, call);
  const links = new TextDecoder().decode(stdout).split("\0").slice(0, -1);
  if (links.length === 0) return;
  const shown = links.slice(0, LINKS_SHOWN).map((link) => cleanLine(link.slice(0, 200)));
  const message = `${shown.join(", ")}${links.length > LINKS_SHOWN ? " and more" : ""}: a link leads out of the agent's folder to what is only there while it is built. An agent's folder must hold all that it needs.`;
  throw new BuildFailure("build_command_failed", message);
}
