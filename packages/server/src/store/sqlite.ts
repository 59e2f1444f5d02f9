import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import type { SqliteDatabase, SqliteStatement } from "kysely";

const STATEMENTS_MAX = 500;
/** For a start: another server may be changing the schema. */
const BUSY_TIMEOUT_MS = 60_000;

export interface OpenDatabase extends SqliteDatabase {
  /** Whether a transaction is open that is not yet committed. */
  readonly isInTransaction: boolean;
}

/**
 * `node:sqlite` in the shape that Kysely's SQLite dialect asks for. Prepared statements are kept: the same queries come
 * again and again, and preparing costs more than running most of them.
 */
export function openSqlite(
  path: string,
  options: { readonly readOnly: boolean; readonly busyTimeoutMs?: number },
): OpenDatabase {
  const { readOnly, busyTimeoutMs: timeout = BUSY_TIMEOUT_MS } = options;
  const database = new DatabaseSync(path, { readOnly, timeout });
  if (!options.readOnly) database.exec("pragma journal_mode = wal");
  // FULL: an accepted message survives a loss of power, not only of the process.
  database.exec("pragma synchronous = full");
  database.exec("pragma foreign_keys = on");
  database.exec("pragma cache_size = -16000");
  const statements = new Map<string, SqliteStatement>();
  return {
    get isInTransaction() {
      return database.isTransaction;
    },
    close: () => {
      statements.clear();
      if (database.isOpen) database.close();
    },
    prepare: (sql) => {
      const known = statements.get(sql);
      if (known !== undefined) return known;
      const statement = adapt(database.prepare(sql));
      if (statements.size >= STATEMENTS_MAX) statements.clear();
      statements.set(sql, statement);
      return statement;
    },
  };
}

function adapt(statement: StatementSync): SqliteStatement {
  const values = (parameters: readonly unknown[]) => parameters as readonly SQLInputValue[];
  return {
    reader: statement.columns().length > 0,
    all: (parameters) => statement.all(...values(parameters)),
    run: (parameters) => statement.run(...values(parameters)),
    iterate: (parameters) => statement.iterate(...values(parameters)),
  };
}
