import { type Quota, RaworcError } from "@raworc/contract";
import { lockRow } from "../store/locks.ts";
import { countMessageTimes, noteMessageTime } from "../store/message-times.ts";
import { countLiveSessions, countRunningSessions } from "../store/sessions.ts";
import { findQuota, findSpaceById, type StoredSpace } from "../store/spaces.ts";
import type { Reader, Transaction } from "../store/store.ts";
import { later } from "../store/time.ts";

const MINUTE_MS = 60_000;
/** Nobody knows when a session will end: these are times after which it is worth to look again. */
const SESSIONS_RETRY_S = 60;
const RUNNING_RETRY_S = 10;

function exceeded(detail: string, retryAfterSeconds: number): RaworcError {
  return new RaworcError("quota_exceeded", detail, { retryAfterSeconds });
}

/**
 * Refuses one more session than a space may have. In the transaction that records the session those of its space take
 * turns, so no two of them take the same place; outside of one it only refuses early what would be refused anyway.
 */
export async function requireRoomForSession(reader: Reader, space: StoredSpace): Promise<void> {
  const { quota } = space.settings;
  if (quota?.sessions === undefined && quota?.running_sessions === undefined) return;
  if (reader.isTransaction) await lockRow(reader, "spaces", space.id);
  if (quota.sessions !== undefined && (await countLiveSessions(reader, space.id)) >= quota.sessions) {
    const detail = `The space ${space.name} may have ${quota.sessions} sessions; delete one first.`;
    throw exceeded(detail, SESSIONS_RETRY_S);
  }
  await requireRunning(reader, space, quota);
}

/** Refuses to wake a session that rests where a space has as many running ones as it may. */
export async function requireRoomToRun(transaction: Transaction, spaceId: string): Promise<void> {
  const space = await findSpaceById(transaction, spaceId);
  const quota = space?.settings.quota;
  if (space === undefined || quota?.running_sessions === undefined) return;
  await lockRow(transaction, "spaces", spaceId);
  await requireRunning(transaction, space, quota);
}

async function requireRunning(reader: Reader, space: StoredSpace, { running_sessions: most }: Quota): Promise<void> {
  if (most === undefined || (await countRunningSessions(reader, space.id)) < most) return;
  const detail = `The space ${space.name} may have ${most} running sessions; pause or delete one, or wait until one rests.`;
  throw exceeded(detail, RUNNING_RETRY_S);
}

/** Counts a message that a space takes, and refuses it where a minute has had as many as it may. */
export async function countMessage(
  transaction: Transaction,
  spaceId: string,
  message: { readonly id: string; readonly created_at: string },
): Promise<void> {
  const { name, quota } = await findQuota(transaction, spaceId);
  const most = quota?.messages_per_minute;
  if (most === undefined) return;
  await lockRow(transaction, "spaces", spaceId);
  const since = later(-MINUTE_MS);
  const { count, first } = await countMessageTimes(transaction, spaceId, since);
  if (count >= most) {
    const wait = first === undefined ? MINUTE_MS : Date.parse(first) - Date.parse(since);
    const seconds = Math.max(1, Math.ceil(wait / 1000));
    throw exceeded(`The space ${name} takes ${most} messages a minute; try again in ${seconds} s.`, seconds);
  }
  await noteMessageTime(transaction, { spaceId, createdAt: message.created_at, id: message.id }, since);
}
