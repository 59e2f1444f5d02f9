import { type RawBuilder, sql } from "kysely";
import { dialectOf } from "./dialect.ts";
import type { Reader } from "./store.ts";

/** The text under a key of a column's JSON object; null where there is none, or something else than a text. */
export function jsonText(reader: Reader, column: string, key: string): RawBuilder<string | null> {
  const path = `$."${key}"`;
  const value = sql.ref(column);
  return dialectOf(reader) === "mysql"
    ? sql`case when json_type(json_extract(${value}, ${path})) = 'STRING' then json_unquote(json_extract(${value}, ${path})) end`
    : sql`case when json_type(${value}, ${path}) = 'text' then json_extract(${value}, ${path}) end`;
}
