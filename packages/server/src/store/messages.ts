import { randomUUIDv7 } from "node:crypto";
import {
  HISTORY_MAX_BYTES,
  HISTORY_MAX_MESSAGES,
  type Message,
  type MessageError,
  type MessageStatus,
  type Metadata,
} from "@raworc/contract";
import { sql } from "kysely";
import { insertRows } from "./insert-rows.ts";
import { locksRows } from "./locks.ts";
import type { MessageRow } from "./rows.ts";
import { runStatement, updateRow } from "./statement.ts";
import type { Reader, Transaction } from "./store.ts";
import { now } from "./time.ts";

export interface StoredMessage extends Message {
  readonly cancel_requested: boolean;
}

/**
 * JSON columns hold what was checked when it was written. Field by field: to copy all others of a row, as it comes from
 * SQLite, takes longer than to read it.
 */
function toMessage(row: MessageRow): StoredMessage {
  return {
    id: row.id,
    session_id: row.session_id,
    seq: Number(row.seq),
    role: row.role,
    agent: row.agent,
    in_reply_to: row.in_reply_to,
    content: row.content,
    metadata: JSON.parse(row.metadata) as Metadata,
    status: row.status,
    error: row.error === null ? null : (JSON.parse(row.error) as MessageError),
    created_at: row.created_at,
    cancel_requested: row.cancel_requested === 1,
  };
}

/** What users see of a message. */
export function presentMessage(message: StoredMessage): Message {
  const { cancel_requested: _, ...seen } = message;
  return seen;
}

export interface NewMessage {
  readonly sessionId: string;
  readonly role: Message["role"];
  readonly agent: string | null;
  readonly inReplyTo: string | null;
  readonly content: string;
  readonly metadata: Metadata;
  readonly status: MessageStatus;
}

const COLUMNS = [
  "id",
  "session_id",
  "seq",
  "role",
  "agent",
  "in_reply_to",
  "content",
  "metadata",
  "status",
  "error",
  "cancel_requested",
  "created_at",
] as const satisfies readonly (keyof MessageRow)[];
const SELECT = `select ${COLUMNS.join(", ")} from messages`;
const INSERT = `insert into messages (${COLUMNS.join(", ")}) values (${COLUMNS.map(() => "?").join(", ")})`;

/** Appends a message; its number is taken from the session's row in the same transaction. */
export async function insertMessage(transaction: Transaction, message: NewMessage): Promise<StoredMessage> {
  const session = [message.sessionId];
  await runStatement(transaction, "update sessions set last_seq = last_seq + 1 where id = ?", session);
  const [numbered] = await runStatement<{ last_seq: number }>(
    transaction,
    "select last_seq from sessions where id = ?",
    session,
  );
  if (numbered === undefined) throw new Error(`There is no session ${message.sessionId}`);
  const row: MessageRow = {
    id: randomUUIDv7(),
    session_id: message.sessionId,
    seq: Number(numbered.last_seq),
    role: message.role,
    agent: message.agent,
    in_reply_to: message.inReplyTo,
    content: message.content,
    metadata: JSON.stringify(message.metadata),
    status: message.status,
    error: null,
    cancel_requested: 0,
    created_at: now(),
  };
  await runStatement(
    transaction,
    INSERT,
    COLUMNS.map((column) => row[column]),
  );
  return toMessage(row);
}

/** In a write transaction the message stays as it is found until the commit. */
export async function findMessage(reader: Reader, id: string): Promise<StoredMessage | undefined> {
  return (await selectMessages(reader, "where id = ?", [id]))[0];
}

/** In a write transaction the messages stay as they are found until the commit. */
async function selectMessages(reader: Reader, rest: string, values: readonly unknown[]): Promise<StoredMessage[]> {
  const statement = `${SELECT} ${rest}${locksRows(reader) ? " for update" : ""}`;
  return (await runStatement<MessageRow>(reader, statement, values)).map(toMessage);
}

/** Replies come soon after what they answer, so few rows lie between. */
export async function findReply(
  reader: Reader,
  message: Pick<StoredMessage, "id" | "session_id" | "seq">,
): Promise<StoredMessage | undefined> {
  const rest = "where session_id = ? and seq > ? and in_reply_to = ? order by seq limit 1";
  return (await selectMessages(reader, rest, [message.session_id, message.seq, message.id]))[0];
}

// The statuses are written out as in the condition of the index that holds only such messages.
const UNFINISHED = "where status in ('queued', 'running') and session_id = ?";
const RUNNING = "where status in ('queued', 'running') and status = 'running' and session_id = ?";
// By status too: by number alone SQLite would walk through all messages of the session, the ended ones first.
const ORDER = "order by status desc, seq";

/** The message to handle next: the running one, which comes before all that wait, else the first of these. */
export async function findNextMessage(reader: Reader, sessionId: string): Promise<StoredMessage | undefined> {
  return (await selectMessages(reader, `${UNFINISHED} ${ORDER} limit 1`, [sessionId]))[0];
}

export async function findRunningMessage(reader: Reader, sessionId: string): Promise<StoredMessage | undefined> {
  return (await selectMessages(reader, `${RUNNING} ${ORDER} limit 1`, [sessionId]))[0];
}

/** Sessions that have a message to handle. */
export async function listSessionsWithWork(reader: Reader): Promise<string[]> {
  const statement = "select distinct session_id from messages where status in ('queued', 'running')";
  const rows = await runStatement<Pick<MessageRow, "session_id">>(reader, statement);
  return rows.map((row) => row.session_id);
}

export function listUnfinishedMessages(reader: Reader, sessionId: string): Promise<StoredMessage[]> {
  return selectMessages(reader, `${UNFINISHED} ${ORDER}`, [sessionId]);
}

export interface MessageQuery {
  readonly sessionId: string;
  readonly limit: number;
  readonly before?: number | undefined;
  readonly after?: number | undefined;
}

/** In time order: after `after` the next ones, else the latest (before `before`). */
export async function listMessages(reader: Reader, query: MessageQuery): Promise<StoredMessage[]> {
  let select = reader.selectFrom("messages").selectAll().where("session_id", "=", query.sessionId).limit(query.limit);
  if (query.before !== undefined) select = select.where("seq", "<", query.before);
  if (query.after !== undefined) {
    const rows = await select.where("seq", ">", query.after).orderBy("seq").execute();
    return rows.map(toMessage);
  }
  const rows = await select.orderBy("seq", "desc").execute();
  return rows.reverse().map(toMessage);
}

export async function countMessages(reader: Reader, sessionId: string): Promise<number> {
  const row = await reader
    .selectFrom("messages")
    .select((eb) => eb.fn.countAll().as("count"))
    .where("session_id", "=", sessionId)
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

/** What the messages of a session have used, as far as the agents told. */
export async function countUsage(
  reader: Reader,
  sessionId: string,
): Promise<{ messages: number; tokens: { input: number; output: number }; cost: number }> {
  const sumOf = (path: string) =>
    sql<number | null>`sum(case when role = 'agent' then json_extract(metadata, ${sql.lit(path)}) end)`;
  const row = await reader
    .selectFrom("messages")
    .select((eb) => [
      eb.fn.countAll().as("messages"),
      sumOf("$.tokens.input").as("input"),
      sumOf("$.tokens.output").as("output"),
      sumOf("$.cost").as("cost"),
    ])
    .where("session_id", "=", sessionId)
    .executeTakeFirstOrThrow();
  return {
    messages: Number(row.messages),
    tokens: { input: Number(row.input ?? 0), output: Number(row.output ?? 0) },
    cost: Number(row.cost ?? 0),
  };
}

/** When an agent has answered in a session last. */
export async function findNewestReplyOf(reader: Reader, sessionId: string, agent: string): Promise<string | undefined> {
  const row = await reader
    .selectFrom("messages")
    .select("created_at")
    .where("session_id", "=", sessionId)
    .where("agent", "=", agent)
    .where("role", "=", "agent")
    .orderBy("seq", "desc")
    .limit(1)
    .executeTakeFirst();
  return row?.created_at;
}

export interface HistoryEntry {
  readonly seq: number;
  readonly role: Message["role"];
  readonly content: string;
}

const HISTORY = "select seq, role, content from messages where session_id = ?";

/** What an agent gets to know of the conversation before a message: whole messages, the newest that fit. */
export async function readHistory(reader: Reader, sessionId: string, beforeSeq: number): Promise<HistoryEntry[]> {
  const history: HistoryEntry[] = [];
  let bytes = 0;
  let before = beforeSeq;
  // A page at a time: a hundred messages can have a hundred megabytes, of which a quarter of one is wanted.
  for (const page of [10, HISTORY_MAX_MESSAGES - 10]) {
    const statement = `${HISTORY} and seq < ? order by seq desc limit ?`;
    const rows = await runStatement<HistoryEntry>(reader, statement, [sessionId, before, page]);
    for (const row of rows) {
      bytes += Buffer.byteLength(row.content);
      if (bytes > HISTORY_MAX_BYTES) return history.reverse();
      history.push({ ...row, seq: Number(row.seq) });
      before = row.seq;
    }
    if (rows.length < page) break;
  }
  return history.reverse();
}

const SINCE_MAX = 10;

/**
 * What has come to the history before a message since another entry. Undefined where that one is gone or much has come
 * since: then all of it is to be read.
 */
export async function readHistorySince(
  reader: Reader,
  sessionId: string,
  afterSeq: number,
  beforeSeq: number,
): Promise<HistoryEntry[] | undefined> {
  const statement = `${HISTORY} and seq >= ? and seq < ? order by seq limit ?`;
  const rows = await runStatement<HistoryEntry>(reader, statement, [sessionId, afterSeq, beforeSeq, SINCE_MAX + 1]);
  const [first, ...since] = rows.map((row) => ({ ...row, seq: Number(row.seq) }));
  const bytes = since.reduce((sum, { content }) => sum + Buffer.byteLength(content), 0);
  return first?.seq === afterSeq && since.length < SINCE_MAX && bytes <= HISTORY_MAX_BYTES ? since : undefined;
}

const COPY_PAGE = 200;

/**
 * Copies the ended messages of one session into another, which has none, up to a number; gives the copies in time order.
 * `newId` makes their ids.
 */
export async function copyMessages(
  transaction: Transaction,
  fromSessionId: string,
  toSessionId: string,
  upToSeq: number | undefined,
  newId: () => string,
): Promise<StoredMessage[]> {
  const ids = new Map<string, string>();
  const copies: MessageRow[] = [];
  for (let after = 0; ; ) {
    let select = transaction
      .selectFrom("messages")
      .selectAll()
      .where("session_id", "=", fromSessionId)
      .where("seq", ">", after)
      .orderBy("seq")
      .limit(COPY_PAGE);
    if (upToSeq !== undefined) select = select.where("seq", "<=", upToSeq);
    const rows = await select.execute();
    const page = rows
      .filter(({ status }) => status !== "queued" && status !== "running")
      .map((row) => {
        const id = newId();
        ids.set(row.id, id);
        const in_reply_to = row.in_reply_to === null ? null : (ids.get(row.in_reply_to) ?? null);
        return { ...row, id, in_reply_to, session_id: toSessionId };
      });
    for (const row of page) copies.push({ ...row, seq: copies.length + 1 });
    after = rows.at(-1)?.seq ?? 0;
    if (rows.length < COPY_PAGE) break;
  }
  await insertRows(transaction, "messages", copies);
  await transaction.updateTable("sessions").set({ last_seq: copies.length }).where("id", "=", toSessionId).execute();
  return copies.map(toMessage);
}

export type MessageChange = Partial<Pick<StoredMessage, "status" | "error" | "cancel_requested">>;

export async function updateMessage(transaction: Transaction, id: string, change: MessageChange): Promise<void> {
  const { error, cancel_requested, ...plain } = change;
  const columns = {
    ...plain,
    ...(error === undefined ? {} : { error: error === null ? null : JSON.stringify(error) }),
    ...(cancel_requested === undefined ? {} : { cancel_requested: cancel_requested ? 1 : 0 }),
  };
  await updateRow(transaction, "messages", id, columns);
}

/** Removes the messages of a session that have ended, with their replies; gives how many it were. */
export async function deleteEndedMessages(transaction: Transaction, sessionId: string): Promise<number> {
  const { numDeletedRows } = await transaction
    .deleteFrom("messages")
    .where("session_id", "=", sessionId)
    .where("status", "in", ["done", "failed", "cancelled"])
    .executeTakeFirst();
  return Number(numDeletedRows);
}
