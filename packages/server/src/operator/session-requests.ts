import { type CreateSession, type Limits, type Network, RaworcError } from "@raworc/contract";
import { nameSubject } from "../audit/audit-note.ts";
import { limitsOfSpace, type SomeLimits } from "../domain/limits.ts";
import { findBuild, findNewestBuild, holdBuildImage, type StoredBuild } from "../store/builds.ts";
import { findNextMessage, findRunningMessage, updateMessage } from "../store/messages.ts";
import { findSession, getSession, insertSession, type StoredSession, updateSession } from "../store/sessions.ts";
import { getSpaceById, type StoredSpace } from "../store/spaces.ts";
import type { Reader, Transaction } from "../store/store.ts";
import { now } from "../store/time.ts";
import { cancelUnfinishedMessages } from "./message-ends.ts";
import { requireRoomForSession, requireRoomToRun } from "./quotas.ts";
import type { Append } from "./session-log.ts";

/** Who asks, as records keep him. */
export interface Requester {
  readonly id: string;
  readonly name: string;
}

/** What a new session is to be, checked. */
export interface SessionDraft {
  readonly space: StoredSpace;
  readonly build: StoredBuild | undefined;
  readonly limits: Limits;
  readonly network: Network;
  readonly name: string | null;
  readonly metadata: CreateSession["metadata"];
}

/** Checks a request for a new session against its space. */
export async function draftSession(
  reader: Reader,
  space: StoredSpace,
  request: Omit<CreateSession, "space" | "wait">,
): Promise<SessionDraft> {
  await requireRoomForSession(reader, space);
  return {
    space,
    build: await buildFor(reader, space, request.build_id),
    limits: limitsFor(space, request.limits),
    network: networkFor(space, request.network),
    name: request.name ?? null,
    metadata: request.metadata,
  };
}

/** Records a new session in `init`. With `id` it takes over the computer of that id. */
export async function createSession(
  transaction: Transaction,
  append: Append,
  draft: SessionDraft,
  requester: Requester,
  id?: string,
): Promise<StoredSession> {
  await requireRoomForSession(transaction, draft.space);
  await requireImage(transaction, draft.build?.id ?? null);
  const session = await insertSession(transaction, {
    ...(id === undefined ? {} : { id }),
    spaceId: draft.space.id,
    name: draft.name,
    createdBy: requester.name,
    ownerId: requester.id,
    buildId: draft.build?.id ?? null,
    limits: draft.limits,
    network: draft.network,
    metadata: draft.metadata,
  });
  nameSubject(session.id);
  await append(session.id, [{ type: "session.state", data: { state: "init" } }]);
  return getSession(transaction, session.id);
}

async function buildFor(
  reader: Reader,
  space: StoredSpace,
  buildId: string | undefined,
): Promise<StoredBuild | undefined> {
  if (buildId === undefined) return findNewestBuild(reader, space.id, "completed");
  const build = await findBuild(reader, buildId);
  if (build?.space_id !== space.id || build.status !== "completed") {
    throw invalid("body.build_id", `is no completed build of the space ${space.name}`);
  }
  if (build.image_tag === null) {
    throw invalid(
      "body.build_id",
      "is a build whose image was removed when nobody used it; leave it out, or build again",
    );
  }
  return build;
}

/** The image stays for the session that is made in this transaction. */
export async function requireImage(transaction: Transaction, buildId: string | null): Promise<void> {
  if (buildId === null || (await holdBuildImage(transaction, buildId))) return;
  throw new RaworcError("conflict", "The image of the build was removed in this moment. Try again.");
}

function invalid(path: string, message: string): RaworcError {
  return new RaworcError("validation_failed", `${path} ${message}`, { errors: [{ path, message }] });
}

function limitsFor(space: StoredSpace, asked: SomeLimits = {}, kept: readonly (keyof Limits)[] = []): Limits {
  const most = limitsOfSpace(space.settings);
  const limit = (name: keyof Limits): number => {
    const wanted = asked[name] ?? most[name];
    if (wanted > most[name] && !kept.includes(name))
      throw invalid(`body.limits.${name}`, `is above the space's limit of ${most[name]}`);
    return wanted;
  };
  return { cpus: limit("cpus"), memory_mb: limit("memory_mb"), disk_mb: limit("disk_mb"), pids: limit("pids") };
}

const NETWORK_ORDER = { none: 0, allowlist: 1, open: 2 } as const;

/** A session may narrow its space's network, never widen it. */
function networkFor(space: StoredSpace, asked: Network | undefined): Network {
  const most: Network = space.settings.network ?? { mode: "open" };
  if (asked === undefined) return most;
  if (NETWORK_ORDER[asked.mode] > NETWORK_ORDER[most.mode]) {
    throw invalid("body.network.mode", `is wider than the space's network, which is ${most.mode}`);
  }
  if (asked.mode === "allowlist" && most.mode === "allowlist") {
    const unlisted = (asked.allow ?? []).find((host) => !(most.allow ?? []).includes(host));
    if (unlisted !== undefined) throw invalid("body.network.allow", `names ${unlisted}, which the space doesn't allow`);
  }
  return asked;
}

/** Records other limits, none above the space's. */
export async function changeLimits(
  transaction: Transaction,
  session: StoredSession,
  asked: Omit<SomeLimits, "disk_mb">,
): Promise<void> {
  const space = await getSpaceById(transaction, session.space_id);
  const { disk_mb } = session.limits;
  const limits = { ...limitsFor(space, { ...session.limits, ...withoutUndefined(asked) }, ["disk_mb"]), disk_mb };
  await updateSession(transaction, session.id, { limits });
}

function withoutUndefined(limits: SomeLimits): SomeLimits {
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
}

/** Records a deletion: from now on nobody sees the session, and the operator removes its computer and volume. */
export async function deleteSession(
  transaction: Transaction,
  append: Append,
  session: StoredSession,
  reason: string,
): Promise<void> {
  await cancelUnfinishedMessages(transaction, append, session.id, "The session was deleted");
  await updateSession(transaction, session.id, {
    state: "deleted",
    desired: "deleted",
    terminated_at: now(),
    termination_reason: reason,
  });
  await append(session.id, [{ type: "session.state", data: { state: "deleted", reason } }]);
}

/** Records the wish to cancel the running message and gives its id. 409 when none runs. */
export async function cancelRunning(transaction: Transaction, session: StoredSession): Promise<string> {
  const running = await findRunningMessage(transaction, session.id);
  if (running === undefined) {
    throw new RaworcError("wrong_state", `No message is running; the session is in state ${session.state}.`);
  }
  await updateMessage(transaction, running.id, { cancel_requested: true });
  return running.id;
}

/**
 * Records a person's wish that the session rests. An idle one is paused at once; a busy one when its message ends, which
 * the operator sees to.
 */
export async function pauseSession(transaction: Transaction, append: Append, session: StoredSession): Promise<void> {
  switch (session.state) {
    case "idle":
      return recordPaused(transaction, append, session.id);
    case "busy":
      if (session.pause_requested_at !== null) return;
      return updateSession(transaction, session.id, { pause_requested_at: now() });
    default:
      throw new RaworcError(
        "wrong_state",
        `The session is in state ${session.state}; only idle and busy ones can be paused.`,
      );
  }
}

export async function recordPaused(transaction: Transaction, append: Append, id: string): Promise<void> {
  await updateSession(transaction, id, {
    state: "paused",
    tier: "stopped",
    paused_at: now(),
    pause_requested_at: null,
  });
  await append(id, [{ type: "session.state", data: { state: "paused" } }]);
}

/** Ends a pause, or takes a session out of `error` for another try. */
export async function resumeSession(transaction: Transaction, append: Append, session: StoredSession): Promise<void> {
  if (session.state !== "error" && session.state !== "paused") {
    throw new RaworcError(
      "wrong_state",
      `The session is in state ${session.state}; only error and paused can be resumed.`,
    );
  }
  await requireRoomToRun(transaction, session.space_id);
  const state = session.state === "paused" ? "idle" : "init";
  await updateSession(transaction, session.id, {
    state,
    tier: "active",
    paused_at: null,
    error: null,
    last_activity_at: now(),
  });
  await append(session.id, [{ type: "session.state", data: { state } }]);
}

/** A use of the computer: one that rests is to be woken. Throws where the session can't be used now. */
export async function wakeSession(transaction: Transaction, id: string): Promise<void> {
  const session = await findSession(transaction, id);
  if (session === undefined || session.desired !== "running") {
    throw new RaworcError("not_found", "The session was deleted.");
  }
  if (session.state === "paused") {
    throw new RaworcError("wrong_state", "The session is paused; resume it first, or send it a message.");
  }
  if (session.state === "error") throw inError(session);
  if (session.tier === "active") return;
  // What was accepted is handed over, whatever the quota says by now.
  const hasWork = session.tier !== "stopped" || (await findNextMessage(transaction, id)) !== undefined;
  if (!hasWork) await requireRoomToRun(transaction, session.space_id);
  await updateSession(transaction, id, { tier: "active", last_activity_at: now() });
}

export function inError(session: StoredSession): RaworcError {
  const detail = `The session is in state error (${session.error ?? "unknown"}); resume it first, or open a new one.`;
  return new RaworcError("wrong_state", detail);
}
