import { hiddenError, type Target } from "../../domain/access.ts";
import { findAgent, type StoredAgent } from "../../store/agents.ts";
import { findBuild, type StoredBuild } from "../../store/builds.ts";
import { findSession, type StoredSession } from "../../store/sessions.ts";
import { findSpace, type StoredSpace } from "../../store/spaces.ts";
import type { Reader } from "../../store/store.ts";

/** Where a call happens and what it is about, found by the names in its path. Absence looks like invisibility. */
export interface SpaceLocation extends Target {
  readonly space: StoredSpace;
}

export interface AgentLocation extends SpaceLocation {
  readonly agent: StoredAgent;
}

export interface BuildLocation extends SpaceLocation {
  readonly build: StoredBuild;
}

export interface SessionLocation extends Target {
  readonly session: StoredSession;
}

/** A collection in a space, or with a name an object that a call would create there. */
export async function locateInSpace(reader: Reader, spaceName: string, name?: string): Promise<SpaceLocation> {
  const space = await findSpace(reader, spaceName);
  if (space === undefined) throw hiddenError();
  return name === undefined ? { space } : { space, name, isNew: true };
}

/** A space itself, as an object. */
export async function locateSpace(reader: Reader, name: string): Promise<SpaceLocation> {
  return { ...(await locateInSpace(reader, name)), name };
}

export async function locateAgent(reader: Reader, spaceName: string, name: string): Promise<AgentLocation> {
  const { space } = await locateInSpace(reader, spaceName);
  const agent = await findAgent(reader, space.id, name);
  if (agent === undefined) throw hiddenError();
  return { space, name, agent };
}

export async function locateBuild(reader: Reader, spaceName: string, id: string): Promise<BuildLocation> {
  const { space } = await locateInSpace(reader, spaceName);
  const build = await findBuild(reader, id);
  if (build?.space_id !== space.id) throw hiddenError();
  return { space, build };
}

/** A session and all that is in it. A deleted one is found only where its records are asked for. */
export function locateSession(
  reader: Reader,
  id: string,
  options: { readonly deleted: boolean },
): SessionLocation | Promise<SessionLocation> {
  const locate = (session: StoredSession | undefined): SessionLocation => {
    if (session === undefined || (session.state === "deleted" && !options.deleted)) throw hiddenError();
    return locationOf(session);
  };
  const session = findSession(reader, id);
  return session instanceof Promise ? session.then(locate) : locate(session);
}

export function locationOf(session: StoredSession): SessionLocation {
  const space = { id: session.space_id, name: session.space_name };
  return { space, name: session.id, ownerId: session.owner_id, session };
}
