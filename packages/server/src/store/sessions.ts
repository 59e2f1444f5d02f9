import { randomUUIDv7 } from "node:crypto";
import type { Limits, Metadata, Network, Session, SessionState } from "@raworc/contract";
import type { Scope } from "../domain/access-scope.ts";
import { decodeCursor, olderThan, type Page, pageOf } from "./cursors.ts";
import { jsonText } from "./json-text.ts";
import { locksRows } from "./locks.ts";
import type { SessionRow } from "./rows.ts";
import { withinScope } from "./scopes.ts";
import { insertRow, selectRows, updateRow } from "./statement.ts";
import type { Reader, Transaction } from "./store.ts";
import { now } from "./time.ts";

/** A session's record with the fields that only the server sees. */
export interface StoredSession
  extends Omit<SessionRow, "limits" | "network" | "metadata" | "attempted" | "fork_pending"> {
  readonly limits: Limits;
  readonly network: Network;
  readonly metadata: Metadata;
  readonly attempted: boolean;
  /** False for a fork whose files are still those of its parent alone. */
  readonly copied: boolean;
  readonly space_name: string;
}

type JoinedRow = SessionRow & { readonly space_name: string };

/**
 * JSON columns hold what was checked when it was written. Field by field: to copy all others of a row, as it comes from
 * SQLite, takes longer than to read it.
 */
function toSession(row: JoinedRow): StoredSession {
  return {
    id: row.id,
    space_id: row.space_id,
    space_name: row.space_name,
    name: row.name,
    created_by: row.created_by,
    owner_id: row.owner_id,
    state: row.state,
    tier: row.tier,
    desired: row.desired,
    build_id: row.build_id,
    attempted: row.attempted === 1,
    copied: row.fork_pending !== 1,
    container_id: row.container_id,
    persistent_volume_id: row.persistent_volume_id,
    parent_session_id: row.parent_session_id,
    limits: JSON.parse(row.limits) as Limits,
    network: JSON.parse(row.network) as Network,
    metadata: JSON.parse(row.metadata) as Metadata,
    created_at: row.created_at,
    started_at: row.started_at,
    last_activity_at: row.last_activity_at,
    paused_at: row.paused_at,
    pause_requested_at: row.pause_requested_at,
    terminated_at: row.terminated_at,
    termination_reason: row.termination_reason,
    error: row.error,
    last_event_id: row.last_event_id,
    last_seq: row.last_seq,
  };
}

/** What users see of a session. */
export function presentSession(session: StoredSession): Session {
  return {
    id: session.id,
    space: session.space_name,
    name: session.name,
    created_by: session.created_by,
    state: session.state,
    tier: session.tier,
    build_id: session.build_id,
    container_id: session.container_id,
    persistent_volume_id: session.persistent_volume_id,
    parent_session_id: session.parent_session_id,
    limits: session.limits,
    network: session.network,
    metadata: session.metadata,
    created_at: session.created_at,
    started_at: session.started_at,
    last_activity_at: session.last_activity_at,
    paused_at: session.paused_at,
    terminated_at: session.terminated_at,
    termination_reason: session.termination_reason,
    error: session.error,
  };
}

/** The space's name comes by a subquery: a join would lock the space with the session, and let lists begin with spaces. */
const withSpace = (reader: Reader) =>
  reader
    .selectFrom("sessions")
    .selectAll()
    .select((eb) =>
      eb
        .selectFrom("spaces")
        .select("spaces.name")
        .whereRef("spaces.id", "=", "sessions.space_id")
        .$asScalar()
        .$notNull()
        .as("space_name"),
    );

// Read by nearly every call, so it is never built anew.
const ONE =
  "select sessions.*, (select spaces.name from spaces where spaces.id = sessions.space_id) as space_name " +
  "from sessions where sessions.id = ?";

/** In a write transaction the session stays as it is found until the commit. At once where the database is in this process. */
export function findSession(
  reader: Reader,
  id: string,
): StoredSession | undefined | Promise<StoredSession | undefined> {
  const rows = selectRows<JoinedRow>(reader, locksRows(reader) ? `${ONE} for update` : ONE, [id]);
  return rows instanceof Promise ? rows.then(firstSession) : firstSession(rows);
}

const firstSession = ([row]: readonly JoinedRow[]): StoredSession | undefined => row && toSession(row);

export async function getSession(reader: Reader, id: string): Promise<StoredSession> {
  const session = await findSession(reader, id);
  if (session === undefined) throw new Error(`There is no session ${id}`);
  return session;
}

export interface SessionQuery {
  readonly limit: number;
  readonly cursor?: string | undefined;
  readonly state?: SessionState | undefined;
  readonly createdBy?: string | undefined;
  readonly deleted: boolean;
  readonly spaceId?: string | undefined;
  /** All of which the metadata must have, with texts as values. */
  readonly labels?: readonly { readonly key: string; readonly value: string }[] | undefined;
  /** Rows the caller may see; names are session ids. */
  readonly scope: Scope;
}

export async function listSessions(reader: Reader, query: SessionQuery): Promise<Page<StoredSession>> {
  let select = withSpace(reader);
  select = select.where((builder) =>
    withinScope(builder, query.scope, {
      spaceId: "sessions.space_id",
      name: "sessions.id",
      ownerId: "sessions.owner_id",
    }),
  );
  if (query.spaceId !== undefined) select = select.where("sessions.space_id", "=", query.spaceId);
  if (query.state !== undefined) select = select.where("sessions.state", "=", query.state);
  // Deleted ones outnumber all others, so these are looked for among the live ones.
  if (query.state === undefined ? !query.deleted : query.state !== "deleted")
    select = select.where("sessions.terminated_at", "is", null);
  for (const { key, value } of query.labels ?? []) {
    select = select.where(jsonText(reader, "sessions.metadata", key), "=", value);
  }
  if (query.createdBy !== undefined) select = select.where("sessions.created_by", "=", query.createdBy);
  if (query.cursor !== undefined) {
    const cursor = decodeCursor(query.cursor);
    select = select.where((builder) =>
      olderThan(builder, cursor, { createdAt: "sessions.created_at", id: "sessions.id" }),
    );
  }
  const rows = await select
    .orderBy("sessions.created_at", "desc")
    .orderBy("sessions.id", "desc")
    .limit(query.limit + 1)
    .execute();
  return pageOf(rows, query.limit, toSession);
}

/** Ids of all sessions whose computers are not yet known to be gone. */
export async function listLiveSessionIds(reader: Reader): Promise<string[]> {
  const rows = await reader
    .selectFrom("sessions")
    .select("id")
    .where("desired", "in", ["running", "deleted"])
    .execute();
  return rows.map((row) => row.id);
}

export async function countLiveSessions(reader: Reader, spaceId: string): Promise<number> {
  const row = await reader
    .selectFrom("sessions")
    .select((eb) => eb.fn.countAll().as("count"))
    .where("space_id", "=", spaceId)
    .where("terminated_at", "is", null)
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

/** Sessions of a space that have a computer running or frozen, or are about to. */
export async function countRunningSessions(reader: Reader, spaceId: string): Promise<number> {
  const row = await reader
    .selectFrom("sessions")
    .select((eb) => eb.fn.countAll().as("count"))
    .where("space_id", "=", spaceId)
    .where("terminated_at", "is", null)
    .where("state", "in", ["init", "idle", "busy"])
    .where("tier", "!=", "stopped")
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

export async function listLiveSessionIdsOfSpace(reader: Reader, spaceId: string): Promise<string[]> {
  const rows = await reader
    .selectFrom("sessions")
    .select("id")
    .where("space_id", "=", spaceId)
    .where("terminated_at", "is", null)
    .execute();
  return rows.map((row) => row.id);
}

export interface NewSession {
  /** Given where a computer with this id waits in the pool. */
  readonly id?: string;
  readonly parentId?: string;
  readonly spaceId: string;
  readonly name: string | null;
  readonly createdBy: string;
  readonly ownerId: string;
  readonly buildId: string | null;
  readonly limits: Limits;
  readonly network: Network;
  readonly metadata: Metadata;
}

export async function insertSession(transaction: Transaction, session: NewSession): Promise<StoredSession> {
  const time = now();
  const row: SessionRow = {
    id: session.id ?? randomUUIDv7(),
    space_id: session.spaceId,
    name: session.name,
    created_by: session.createdBy,
    owner_id: session.ownerId,
    state: "init",
    tier: "active",
    desired: "running",
    build_id: session.buildId,
    attempted: 0,
    container_id: null,
    persistent_volume_id: null,
    parent_session_id: session.parentId ?? null,
    limits: JSON.stringify(session.limits),
    network: JSON.stringify(session.network),
    metadata: JSON.stringify(session.metadata),
    created_at: time,
    started_at: null,
    last_activity_at: time,
    paused_at: null,
    terminated_at: null,
    termination_reason: null,
    error: null,
    last_event_id: 0,
    last_seq: 0,
    pause_requested_at: null,
    fork_pending: session.parentId === undefined ? null : 1,
  };
  await insertRow(transaction, "sessions", row);
  return getSession(transaction, row.id);
}

export type SessionChange = Partial<
  Pick<
    StoredSession,
    | "name"
    | "metadata"
    | "limits"
    | "state"
    | "tier"
    | "desired"
    | "attempted"
    | "copied"
    | "container_id"
    | "persistent_volume_id"
    | "started_at"
    | "last_activity_at"
    | "paused_at"
    | "pause_requested_at"
    | "terminated_at"
    | "termination_reason"
    | "error"
  >
>;

export async function updateSession(transaction: Transaction, id: string, change: SessionChange): Promise<void> {
  const { metadata, limits, attempted, copied, ...plain } = change;
  const columns = {
    ...plain,
    ...(metadata === undefined ? {} : { metadata: JSON.stringify(metadata) }),
    ...(limits === undefined ? {} : { limits: JSON.stringify(limits) }),
    ...(attempted === undefined ? {} : { attempted: attempted ? 1 : 0 }),
    ...(copied === undefined ? {} : { fork_pending: copied ? null : 1 }),
  };
  await updateRow(transaction, "sessions", id, columns);
}
