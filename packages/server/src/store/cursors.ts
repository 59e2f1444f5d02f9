import { RaworcError } from "@raworc/contract";

/** Place in a list that is newest first. */
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
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([0-9a-f-]{36})$/.exec(
    Buffer.from(text, "base64url").toString("latin1"),
  );
  if (match?.[1] === undefined || match[2] === undefined) {
    const message = "is not a cursor of this list; take it from the Link header of the page before";
    throw new RaworcError("validation_failed", `query.cursor ${message}`, {
      errors: [{ path: "query.cursor", message }],
    });
  }
  return { createdAt: match[1], id: match[2] };
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
