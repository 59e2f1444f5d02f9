import type { ResolvedManifest } from "@raworc/contract";
import type { AgentFolder } from "./agent-folder.ts";
import type { StepRunner } from "./step-runner.ts";

/** What a recipe found out beside the manifest. */
export type Built = Pick<ResolvedManifest, "handler" | "kind" | "program">;

/** Makes what runs, at `artifact`, from the agent's folder in the checkout. Throws BuildFailure. */
export type Recipe = (steps: StepRunner, folder: AgentFolder, artifact: string) => Promise<Built>;
