import { COMPUTER, type HostAgent } from "@raworc/contract";
import type { BuildReference } from "../runtime/driver.ts";
import type { StoredBuild } from "../store/builds.ts";

/** What a computer is started from. Null for a build that is not completed, or whose image was removed. */
export function referenceOfBuild(build: StoredBuild): BuildReference | null {
  if (build.image_tag === null) return null;
  const artifactKeys = build.agents.flatMap((agent) => (agent.artifact_key === null ? [] : [agent.artifact_key]));
  return { buildId: build.id, imageTag: build.image_tag, artifactKeys };
}

/** The agents of a completed build as the host is told of them. */
export function agentsOfBuild(build: StoredBuild): readonly HostAgent[] {
  return build.agents.flatMap(({ name, artifact_key, manifest }) =>
    artifact_key === null || manifest === null ? [] : [{ name, path: artifactPath(artifact_key), manifest }],
  );
}

/** Where an artifact is in every computer. */
export function artifactPath(key: string): string {
  return `${COMPUTER.artifacts}/${key}`;
}
