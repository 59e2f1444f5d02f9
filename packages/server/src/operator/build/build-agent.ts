import type { ResolvedManifest, RuntimeName } from "@raworc/contract";
import { resolveManifest } from "../../domain/manifest.ts";
import { readAgentFolder } from "./agent-folder.ts";
import { finishArtifact } from "./artifact-folder.ts";
import { fetchSource } from "./fetch-source.ts";
import { buildNode } from "./node-recipe.ts";
import { buildPython } from "./python-recipe.ts";
import type { Recipe } from "./recipe.ts";
import type { ResolvedSource } from "./resolve-source.ts";
import { buildRust } from "./rust-recipe.ts";
import type { SourceAccess } from "./source-access.ts";
import { type BuildContext, StepRunner } from "./step-runner.ts";
import { requireSystemPackages } from "./system-packages.ts";

export interface BuildRequest {
  readonly source: SourceAccess;
  readonly resolved: ResolvedSource;
  /** Folder of the agent in the repository; null is its root. */
  readonly folder: string | null;
  /** Where the artifact is made: the path at which sessions have it, since Python environments can't be moved. */
  readonly artifact: string;
}

const RECIPES: Record<RuntimeName, Recipe> = { python: buildPython, node: buildNode, rust: buildRust };

/** From a commit to a folder that sessions can run, inside a builder. Throws BuildFailure, DriverError, the signal's reason. */
export async function buildAgent(context: BuildContext, request: BuildRequest): Promise<ResolvedManifest> {
  const steps = new StepRunner(context);
  await fetchSource(steps, request.source, request.resolved);
  const folder = await readAgentFolder(steps, request.folder);
  await requireSystemPackages(steps, folder.plan.systemPackages);
  const built = await RECIPES[folder.plan.runtime](steps, folder, request.artifact);
  await finishArtifact(steps, request.artifact);
  return resolveManifest(folder.plan, built);
}
