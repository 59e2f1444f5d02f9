import { type Kysely, MysqlAdapter } from "kysely";

/** MariaDB counts as MySQL; where they differ, the code says so. */
export type Dialect = "sqlite" | "mysql";

// biome-ignore lint/suspicious/noExplicitAny: what the tables are doesn't matter, and Kysely's type is invariant in them
export function dialectOf(database: Kysely<any>): Dialect {
  return database.getExecutor().adapter instanceof MysqlAdapter ? "mysql" : "sqlite";
}
