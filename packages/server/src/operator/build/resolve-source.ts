import { nearestNames } from "../../domain/nearest-names.ts";
import { BuildFailure } from "./build-failure.ts";
import { Git } from "./git.ts";
import { cleanLine } from "./output-lines.ts";
import type { SourceAccess } from "./source-access.ts";
import { type BuildContext, StepRunner } from "./step-runner.ts";

export interface SourceRequest {
  readonly source: SourceAccess;
  /** Branch or tag; null is the repository's own default branch. */
  readonly branch: string | null;
}

export interface ResolvedSource {
  /** Full hash in lower case. */
  readonly commit: string;
  /** Where it was found: `refs/heads/main`. Null for a commit that was named by its hash. */
  readonly reference: string | null;
}

const HASH = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;
const RESOLVE_SECONDS = 300;
const NAMES_SHOWN = 5;
/** Names that are compared for a hint: comparing takes time, and the list is a stranger's. */
const NAMES_COMPARED = 1000;

/** Asks the repository for the commit of a branch or tag. Throws BuildFailure `source_not_found`. */
export async function resolveSource(context: BuildContext, request: SourceRequest): Promise<ResolvedSource> {
  const { source, branch } = request;
  const git = new Git(new StepRunner({ totalSeconds: RESOLVE_SECONDS, ...context }), source);
  const wanted = branch === null ? ["HEAD"] : candidatesOf(branch);
  const references = await listReferences(git, source, wanted);
  for (const name of wanted) {
    const commit = references.get(name);
    if (commit !== undefined) return { commit, reference: name.replace("^{}", "") };
  }
  throw notThere(source, branch, await listNames(git, source));
}

/** In the order in which they count. An annotated tag's own object is no commit: `^{}` is what it points to. */
function candidatesOf(branch: string): string[] {
  const whole = branch.startsWith("refs/") ? [`${branch}^{}`, branch] : [];
  return [...whole, `refs/heads/${branch}`, `refs/tags/${branch}^{}`, `refs/tags/${branch}`];
}

async function listReferences(
  git: Git,
  source: SourceAccess,
  patterns: readonly string[],
): Promise<Map<string, string>> {
  const { stdout } = await git.run({
    label: "read the repository's branches",
    arguments: ["ls-remote", "--", source.address, ...patterns],
    cwd: "/",
    quiet: true,
    seconds: 120,
  });
  const references = new Map<string, string>();
  for (const line of new TextDecoder().decode(stdout).split("\n")) {
    const [commit, name] = line.split("\t");
    if (commit !== undefined && name !== undefined && HASH.test(commit)) references.set(name, commit);
  }
  return references;
}

/** Branches and tags for a hint; undefined where there are too many to read. */
async function listNames(git: Git, source: SourceAccess): Promise<string[] | undefined> {
  try {
    const references = await listReferences(git, source, ["refs/heads/*", "refs/tags/*"]);
    const names = [...references.keys()].filter((name) => !name.endsWith("^{}"));
    return names.map((name) => cleanLine(name.replace(/^refs\/(?:heads|tags)\//, "").slice(0, 255)));
  } catch (error) {
    if (error instanceof BuildFailure && error.code === "build_command_failed") return undefined;
    throw error;
  }
}

function notThere(source: SourceAccess, branch: string | null, names: readonly string[] | undefined): BuildFailure {
  const short = names ?? ["too many to list"];
  if (short.length === 0) {
    return new BuildFailure("source_not_found", `${source.name} is empty. Commit the agent's files and push them.`);
  }
  const known = `There are: ${short.slice(0, NAMES_SHOWN).join(", ")}${short.length > NAMES_SHOWN ? ", …" : ""}.`;
  if (branch === null) {
    const message = `The default branch of ${source.name} is not there. Set source_branch. ${known}`;
    return new BuildFailure("source_not_found", message);
  }
  const near = nearestNames(branch, short.slice(0, NAMES_COMPARED), NAMES_SHOWN);
  const abbreviated = /^[0-9a-f]{6,39}$/i.test(branch) ? " A commit must be named by its full hash." : "";
  const hint = near.length === 0 ? known : `Did you mean ${near.join(" or ")}?`;
  const message = `${source.name} has no branch or tag ${JSON.stringify(branch)}.${abbreviated} ${hint}`;
  return new BuildFailure("source_not_found", message);
}
