import type { SqliteDatabase } from "kysely";
import type { OpenDatabase } from "./sqlite.ts";

/**
 * A database to read from: the writing connection while it has no transaction open, else the reading one. Each commit
 * makes the reading connection throw its pages away and look for them in the log again, which costs more than most reads
 * themselves. A statement must be run in the turn in which it is prepared.
 */
export function readsFrom(reading: SqliteDatabase, writing: OpenDatabase): SqliteDatabase {
  return {
    close: () => reading.close(),
    prepare: (sql) => (writing.isInTransaction || !isSelect(sql) ? reading : writing).prepare(sql),
  };
}

/** Whatever else it may be, the reading connection refuses it. */
function isSelect(sql: string): boolean {
  return sql.startsWith("select ");
}
