import type { Expression, ExpressionBuilder, SqlBool } from "kysely";
import type { Scope } from "../domain/access-scope.ts";
import type { Database } from "./rows.ts";

type Tables = keyof Database;

/** Columns that a scope's clauses are about, in the query at hand. */
export interface ScopeColumns<T extends Tables> {
  readonly spaceId: Parameters<ExpressionBuilder<Database, T>>[0];
  readonly name: Parameters<ExpressionBuilder<Database, T>>[0];
  readonly ownerId?: Parameters<ExpressionBuilder<Database, T>>[0];
}

/** The condition that shows just the rows of a scope. */
export function withinScope<T extends Tables>(
  builder: ExpressionBuilder<Database, T>,
  scope: Scope,
  columns: ScopeColumns<T>,
): Expression<SqlBool> {
  const clauses = scope.map((clause) => {
    const conditions: Expression<SqlBool>[] = [];
    if (clause.spaceId !== undefined) conditions.push(builder(columns.spaceId, "=", clause.spaceId as never));
    if (clause.names !== undefined) conditions.push(builder(columns.name, "in", ["", ...clause.names] as never));
    if (clause.ownerId !== undefined) {
      if (columns.ownerId === undefined) throw new Error("A scope by owner on rows that have none");
      conditions.push(builder(columns.ownerId, "=", clause.ownerId as never));
    }
    return conditions.length === 0 ? builder.lit(true) : builder.and(conditions);
  });
  return clauses.length === 0 ? builder.lit(false) : builder.or(clauses);
}
