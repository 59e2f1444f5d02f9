import { COMPUTER } from "@raworc/contract";
import { BuildFailure } from "./build-failure.ts";
import { Git } from "./git.ts";
import { readGitFault } from "./git-fault.ts";
import type { ResolvedSource } from "./resolve-source.ts";
import type { SourceAccess } from "./source-access.ts";
import type { StepRunner } from "./step-runner.ts";

/** Where a builder keeps the repository while it builds. */
export const CHECKOUT = `${COMPUTER.workspace}/source`;

/**
 * Puts exactly one commit, with its submodules, into CHECKOUT. Git checks all content against the commit's hash, so
 * the source's host can't pass off anything else. Throws BuildFailure `source_not_found`.
 */
export async function fetchSource(steps: StepRunner, source: SourceAccess, resolved: ResolvedSource): Promise<void> {
  const git = new Git(steps, source);
  const { commit } = resolved;
  const format = commit.length === 64 ? ["--object-format=sha256"] : [];
  const initialize = ["init", "--quiet", "--template=", ...format, CHECKOUT];
  await git.run({ label: "prepare the checkout", arguments: initialize, cwd: "/", quiet: true });
  // Submodules may be named relative to where the repository came from.
  const origin = ["config", "remote.origin.url", source.address];
  await git.run({ label: "name the origin", arguments: origin, cwd: CHECKOUT, quiet: true });
  await fetchCommit(git, source, resolved);
  await git.run({
    label: "check out",
    arguments: ["checkout", "--quiet", "--detach", commit],
    cwd: CHECKOUT,
    quiet: true,
  });
  const head = await git.run({
    label: "check the commit",
    arguments: ["rev-parse", "HEAD"],
    cwd: CHECKOUT,
    quiet: true,
  });
  if (new TextDecoder().decode(head.stdout).trim() !== commit) {
    throw new BuildFailure("source_not_found", `${commit} is not a commit of ${source.name}.`);
  }
  await fetchSubmodules(steps, git, source);
}

async function fetchCommit(git: Git, source: SourceAccess, { commit, reference }: ResolvedSource): Promise<void> {
  const fetch = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules"];
  const call = { label: `fetch ${source.name} at ${commit}`, cwd: CHECKOUT };
  const shallow = await git.attempt({ ...call, arguments: [...fetch, "--depth=1", "--", source.address, commit] });
  if (shallow.exitCode === 0) return;
  if (readGitFault(shallow.tail, source.name).kind !== "commit") {
    // Once more, with the attempts that trouble on the way deserves.
    await git.run({ ...call, arguments: [...fetch, "--depth=1", "--", source.address, commit] });
    return;
  }
  // Some hosts give commits only by way of the names that lead to them.
  const names = reference === null ? ["+refs/heads/*:refs/all/*"] : [`+${reference}:refs/all/wanted`];
  const label = `fetch ${source.name} by its branches`;
  await git.run({ label, arguments: [...fetch, "--", source.address, ...names], cwd: CHECKOUT });
}

async function fetchSubmodules(steps: StepRunner, git: Git, source: SourceAccess): Promise<void> {
  const command = ["test", "-f", `${CHECKOUT}/.gitmodules`];
  const found = await steps.attempt({ label: "look for submodules", command, cwd: "/", quiet: true });
  if (found.exitCode !== 0) return;
  const update = ["submodule", "update", "--init", "--recursive", "--depth=1"];
  const end = await git.attempt({ label: "fetch submodules", arguments: update, cwd: CHECKOUT });
  if (end.exitCode === 0) return;
  const fault = readGitFault(end.tail, "a submodule's repository");
  const local =
    source.local !== null ? " Submodules of a local source need https addresses: a builder sees no other folder." : "";
  throw new BuildFailure("source_not_found", `The submodules can't be fetched. ${fault.message}${local}`, end.tail);
}
