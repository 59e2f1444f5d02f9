import { RaworcError } from "@raworc/contract";
import type { Expression, ExpressionBuilder, SqlBool } from "kysely";
import type { Database } from "./rows.ts";

/** Place in a list that is newest first; `id` tells apart what was made at the same time, and may be a name. */
export interface Cursor {
  readonly createdAt: string;
  readonly id: string;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Opaque; undefined on the last page. */
  readonly next: string | undefined;
}

export function encodeCursor(cursor: Cursor): string {
  return Buffer.from(`${cursor.createdAt} ${cursor.id}`).toString("base64url");
}

/** Throws `validation_failed` for anything that encodeCursor did not make. */
export function decodeCursor(text: string): Cursor {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([A-Za-z0-9._@-]{1,128})$/.exec(
    Buffer.from(text, "base64url").toString("latin1"),
  );
  if (match?.[1] === undefined || match[2] === undefined) throw junkCursor();
  return { createdAt: match[1], id: match[2] };
}

function junkCursor(): RaworcError {
  const message = "is not a cursor of this list; take it from the Link header of the page before";
  return new RaworcError("validation_failed", `query.cursor ${message}`, {
    errors: [{ path: "query.cursor", message }],
  });
}

/** Cursor of a list whose items are numbered. */
export function encodeSeqCursor(seq: number): string {
  return Buffer.from(`seq ${seq}`).toString("base64url");
}

/** Throws `validation_failed` for anything that encodeSeqCursor did not make. */
export function decodeSeqCursor(text: string): number {
  const match = /^seq (\d{1,15})$/.exec(Buffer.from(text, "base64url").toString("latin1"));
  if (match?.[1] === undefined) throw junkCursor();
  return Number(match[1]);
}

type Tables = keyof Database;
type Column<T extends Tables> = Parameters<ExpressionBuilder<Database, T>>[0];

/**
 * The condition that goes on after a cursor in a list that is newest first. Not written as a comparison of pairs, for which
 * MySQL reads an index from its end on.
 */
export function olderThan<T extends Tables>(
  builder: ExpressionBuilder<Database, T>,
  cursor: Cursor,
  columns: { readonly createdAt: Column<T>; readonly id: Column<T> },
): Expression<SqlBool> {
  const { createdAt, id } = cursor;
  return builder.and([
    builder(columns.createdAt, "<=", createdAt as never),
    builder.or([builder(columns.createdAt, "<", createdAt as never), builder(columns.id, "<", id as never)]),
  ]);
}

/** Cuts rows that were read with one more than `limit` into a page. */
export function pageOf<R extends { created_at: string; id: string }, T>(
  rows: readonly R[],
  limit: number,
  toItem: (row: R) => T,
): Page<T> {
  const kept = rows.slice(0, limit);
  const last = kept.at(-1);
  const more = rows.length > limit && last !== undefined;
  return {
    items: kept.map(toItem),
    next: more ? encodeCursor({ createdAt: last.created_at, id: last.id }) : undefined,
  };
}
