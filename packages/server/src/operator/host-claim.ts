import type { HostClaim } from "@raworc/contract";
import type { StoredBuild } from "../store/builds.ts";
import { agentsOfBuild } from "./build-reference.ts";

/** What sessions of a space find in their environment: the configuration's and the space's secrets. */
export type EnvironmentOf = (spaceId: string) => Promise<Readonly<Record<string, string>>>;

export interface ClaimSubject {
  readonly id: string;
  readonly space_id: string;
  readonly space_name: string;
}

/** What makes a computer the one of this session. */
export async function hostClaim(
  session: ClaimSubject,
  build: StoredBuild | undefined,
  environmentOf: EnvironmentOf,
): Promise<HostClaim> {
  return {
    session_id: session.id,
    space: session.space_name,
    environment: { ...(await environmentOf(session.space_id)) },
    agents: build === undefined ? [] : [...agentsOfBuild(build)],
  };
}
