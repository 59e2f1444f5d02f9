import type { Agent } from "@raworc/contract";
import type { StoredAgent } from "../store/agents.ts";
import { findNewestBuild, type StoredBuild } from "../store/builds.ts";
import type { Reader } from "../store/store.ts";

/** What an agent's status, commit and runtime follow from. */
export interface SpaceBuilds {
  readonly newest: StoredBuild | undefined;
  readonly completed: StoredBuild | undefined;
}

export async function readSpaceBuilds(reader: Reader, spaceId: string): Promise<SpaceBuilds> {
  const newest = await findNewestBuild(reader, spaceId);
  const completed = newest?.status === "completed" ? newest : await findNewestBuild(reader, spaceId, "completed");
  return { newest, completed };
}

/** What users see of an agent. */
export function presentAgent(agent: StoredAgent, space: string, builds: SpaceBuilds): Agent {
  const deployed = builds.completed?.agents.find(({ name }) => name === agent.name);
  return {
    name: agent.name,
    space,
    description: agent.description,
    purpose: agent.purpose,
    source_repo: agent.source_repo,
    source_branch: agent.source_branch,
    source_path: agent.source_path,
    status: statusOf(agent, builds),
    commit: deployed?.commit ?? null,
    runtime: deployed?.runtime ?? null,
    created_at: agent.created_at,
    updated_at: agent.updated_at,
    created_by: agent.created_by,
  };
}

function statusOf(agent: StoredAgent, { newest, completed }: SpaceBuilds): Agent["status"] {
  if (agent.stopped) return "stopped";
  if (newest?.status === "pending" || newest?.status === "building") return "building";
  if (newest?.status === "failed") {
    const built = newest.agents.find(({ name }) => name === agent.name);
    if (built?.status === "failed") return "error";
  }
  return completed?.agents.some(({ name }) => name === agent.name) === true ? "running" : "configured";
}
