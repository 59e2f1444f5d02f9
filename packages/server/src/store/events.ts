import type { EventType, SessionEvent } from "@raworc/contract";
import { insertRows } from "./insert-rows.ts";
import type { EventRow } from "./rows.ts";
import { runStatement } from "./statement.ts";
import type { Reader, Transaction } from "./store.ts";
import { now } from "./time.ts";

export interface NewEvent {
  readonly type: EventType;
  readonly data: Readonly<Record<string, unknown>>;
}

/**
 * Appends to a session's log and gives the events with their numbers. The numbers are taken from the session's row in
 * the same transaction: they have no gaps, and whoever reads sees them in order.
 */
export async function appendEvents(
  transaction: Transaction,
  sessionId: string,
  events: readonly NewEvent[],
): Promise<SessionEvent[]> {
  if (events.length === 0) return [];
  await runStatement(transaction, "update sessions set last_event_id = last_event_id + ? where id = ?", [
    events.length,
    sessionId,
  ]);
  const [row] = await runStatement<{ last_event_id: number }>(
    transaction,
    "select last_event_id from sessions where id = ?",
    [sessionId],
  );
  if (row === undefined) throw new Error(`There is no session ${sessionId}`);
  const last = Number(row.last_event_id);
  const created_at = now();
  const appended = events.map(
    (event, index): SessionEvent => ({
      id: last - events.length + 1 + index,
      type: event.type,
      created_at,
      data: { ...event.data },
    }),
  );
  const rows = appended.map(
    (event): EventRow => ({ ...event, session_id: sessionId, data: JSON.stringify(event.data) }),
  );
  await insertEvents(transaction, rows);
  return appended;
}

/** By the number of events: those of a step of a message are few. */
const INSERTS = [1, 2, 3, 4].reduce<(string | undefined)[]>((inserts, count) => {
  const rows = Array.from({ length: count }, () => "(?, ?, ?, ?, ?)").join(", ");
  inserts[count] = `insert into events (session_id, id, type, created_at, data) values ${rows}`;
  return inserts;
}, []);

const WRITTEN_OUT_CHARACTERS = 256 * 1024;

async function insertEvents(transaction: Transaction, rows: readonly EventRow[]): Promise<void> {
  const insert = INSERTS[rows.length];
  const characters = rows.reduce((sum, { data }) => sum + data.length, 0);
  if (insert === undefined || characters > WRITTEN_OUT_CHARACTERS) return insertRows(transaction, "events", rows);
  const values = rows.flatMap((row) => [row.session_id, row.id, row.type, row.created_at, row.data]);
  await runStatement(transaction, insert, values);
}

export async function listEvents(
  reader: Reader,
  sessionId: string,
  after: number,
  limit: number,
): Promise<SessionEvent[]> {
  const rows = await reader
    .selectFrom("events")
    .select(["id", "type", "created_at", "data"])
    .where("session_id", "=", sessionId)
    .where("id", ">", after)
    .orderBy("id")
    .limit(limit)
    .execute();
  return rows.map((row) => ({ ...row, type: row.type as EventType, data: JSON.parse(row.data) }));
}

/** How many pieces of the answer to a message are in the log: as many as were taken from the host. */
export async function countDeltas(reader: Reader, sessionId: string, messageId: string): Promise<number> {
  const started = await reader
    .selectFrom("events")
    .select("id")
    .where("session_id", "=", sessionId)
    .where("type", "=", "message.start")
    .orderBy("id", "desc")
    .limit(1)
    .executeTakeFirst();
  if (started === undefined) return 0;
  const rows = await reader
    .selectFrom("events")
    .select("data")
    .where("session_id", "=", sessionId)
    .where("id", ">", started.id)
    .where("type", "=", "message.delta")
    .execute();
  return rows.filter((row) => JSON.parse(row.data).message_id === messageId).length;
}
