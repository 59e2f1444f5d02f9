import { AuditEvent, type AuditOutcome } from "@raworc/contract";
import type { Scope } from "../domain/access-scope.ts";
import { decodeSeqCursor, encodeSeqCursor, type Page } from "./cursors.ts";
import { dialectOf } from "./dialect.ts";
import type { AuditEventRow, AuditHeadRow } from "./rows.ts";
import { withinScope } from "./scopes.ts";
import { runStatement } from "./statement.ts";
import type { Reader, Transaction } from "./store.ts";

export type StoredAuditEvent = AuditEventRow;
export type AuditHead = Omit<AuditHeadRow, "id">;

// Each change writes these, messages too.
const READ_HEAD = "select seq, hash, key_id, seal from audit_head where id = 1";
const WRITE_HEAD = "update audit_head set seq = ?, hash = ?, key_id = ?, seal = ? where id = 1";
const COLUMNS = [
  "seq",
  "id",
  "created_at",
  "principal",
  "principal_id",
  "action",
  "resource",
  "name",
  "space",
  "space_id",
  "outcome",
  "request_id",
  "address",
  "details",
  "prev_hash",
  "hash",
] as const satisfies readonly (keyof AuditEventRow)[];
const INSERT = `insert into audit_events (${COLUMNS.join(", ")}) values (${COLUMNS.map(() => "?").join(", ")})`;

function toHead(row: AuditHead): AuditHead {
  return { ...row, seq: Number(row.seq) };
}

/** The head as it is committed. */
export function readAuditHead(reader: Reader): Promise<AuditHead> {
  return queryHead(reader, READ_HEAD);
}

async function queryHead(reader: Reader, query: string): Promise<AuditHead> {
  const [head] = await runStatement<AuditHead>(reader, query);
  if (head === undefined) throw new Error("The audit has no head");
  return toHead(head);
}

/** The head, which nobody else changes before the commit. */
export function lockAuditHead(transaction: Transaction): Promise<AuditHead> {
  // SQLite has one writer, so its head is nobody else's anyway.
  return queryHead(transaction, dialectOf(transaction) === "mysql" ? `${READ_HEAD} for update` : READ_HEAD);
}

export async function writeAuditHead(transaction: Transaction, head: AuditHead): Promise<void> {
  await runStatement(transaction, WRITE_HEAD, [head.seq, head.hash, head.key_id, head.seal]);
}

export async function insertAuditEvent(transaction: Transaction, row: StoredAuditEvent): Promise<void> {
  await runStatement(
    transaction,
    INSERT,
    COLUMNS.map((column) => row[column]),
  );
}

function toRow(row: AuditEventRow): StoredAuditEvent {
  return { ...row, seq: Number(row.seq) };
}

/** What users see of an audit event. */
export function presentAuditEvent(row: StoredAuditEvent): AuditEvent {
  const { principal_id: _, space_id: __, details, ...event } = row;
  return { ...event, details: AuditEvent.shape.details.parse(JSON.parse(details)) };
}

export interface AuditQuery {
  readonly limit: number;
  readonly cursor?: string | undefined;
  /** By its id where it is there, else by the name that was told of it. */
  readonly space?: { readonly id: string } | { readonly name: string } | undefined;
  readonly principal?: string | undefined;
  readonly action?: string | undefined;
  readonly resource?: string | undefined;
  readonly outcome?: AuditOutcome | undefined;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly scope: Scope;
}

/** Newest first. */
export async function listAuditEvents(reader: Reader, query: AuditQuery): Promise<Page<StoredAuditEvent>> {
  const { space } = query;
  let select = reader
    .selectFrom("audit_events")
    .selectAll()
    .where((builder) => withinScope(builder, query.scope, { spaceId: "space_id", name: "name" }));
  if (query.cursor !== undefined) select = select.where("seq", "<", decodeSeqCursor(query.cursor));
  if (space !== undefined && "id" in space) select = select.where("space_id", "=", space.id);
  if (space !== undefined && "name" in space) select = select.where("space", "=", space.name);
  if (query.principal !== undefined) select = select.where("principal", "=", query.principal);
  if (query.action !== undefined) select = select.where("action", "=", query.action);
  if (query.resource !== undefined) select = select.where("resource", "=", query.resource);
  if (query.outcome !== undefined) select = select.where("outcome", "=", query.outcome);
  if (query.since !== undefined) select = select.where("created_at", ">=", query.since);
  if (query.until !== undefined) select = select.where("created_at", "<", query.until);
  const rows = await select
    .orderBy("seq", "desc")
    .limit(query.limit + 1)
    .execute();
  const items = rows.slice(0, query.limit).map(toRow);
  const last = items.at(-1);
  const next = rows.length > query.limit && last !== undefined ? encodeSeqCursor(last.seq) : undefined;
  return { items, next };
}

/** Links of the chain in their order, up to one. */
export async function readAuditChain(
  reader: Reader,
  range: { readonly after: number; readonly upTo: number; readonly limit: number },
): Promise<StoredAuditEvent[]> {
  const rows = await reader
    .selectFrom("audit_events")
    .selectAll()
    .where("seq", ">", range.after)
    .where("seq", "<=", range.upTo)
    .orderBy("seq")
    .limit(range.limit)
    .execute();
  return rows.map(toRow);
}

/** Number of the newest link that is there, whatever the head says. */
export async function readLastAuditSeq(reader: Reader): Promise<number> {
  const row = await reader
    .selectFrom("audit_events")
    .select((builder) => builder.fn.max("seq").as("seq"))
    .executeTakeFirst();
  return Number(row?.seq ?? 0);
}
