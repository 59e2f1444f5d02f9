import type { Build } from "@raworc/contract";
import type { StoredBuild } from "../store/builds.ts";

/** What users see of a build. */
export function presentBuild(build: StoredBuild, space: string): Build {
  return {
    build_id: build.id,
    space,
    status: build.status,
    image_tag: build.image_tag,
    agents: build.agents.map(({ artifact_key: _, manifest: __, ...agent }) => agent),
    agents_deployed: build.status === "completed" ? build.agents.map(({ name }) => name) : [],
    created_at: build.created_at,
    started_at: build.started_at,
    completed_at: build.completed_at,
    error: build.error,
  };
}
