import { randomUUIDv7 } from "node:crypto";
import type { RoleBinding, Rule } from "@raworc/contract";
import type { Scope } from "../domain/access-scope.ts";
import { decodeCursor, olderThan, type Page, pageOf } from "./cursors.ts";
import { parseRules } from "./roles.ts";
import type { RoleBindingRow } from "./rows.ts";
import { withinScope } from "./scopes.ts";
import type { Reader, Transaction } from "./store.ts";
import { now } from "./time.ts";

/** A binding with the names of what it binds. */
export interface StoredRoleBinding extends RoleBindingRow {
  readonly user: string;
  readonly space_name: string | null;
}

/** What users see of a binding. */
export function presentRoleBinding(binding: StoredRoleBinding): RoleBinding {
  return {
    id: binding.id,
    role_name: binding.role_name,
    principal: binding.user,
    principal_type: "ServiceAccount",
    space: binding.space_name,
    created_at: binding.created_at,
  };
}

/** Outer joins, also where there is a row for sure: MySQL would begin a list with an inner one, and sort it all. */
const joined = (reader: Reader) =>
  reader
    .selectFrom("role_bindings")
    .leftJoin("accounts", "accounts.id", "role_bindings.account_id")
    .leftJoin("spaces", "spaces.id", "role_bindings.space_id")
    .selectAll("role_bindings")
    .select((eb) => [eb.ref("accounts.user").$notNull().as("user"), "spaces.name as space_name"]);

export async function findRoleBinding(reader: Reader, id: string): Promise<StoredRoleBinding | undefined> {
  return joined(reader).where("role_bindings.id", "=", id).executeTakeFirst();
}

export interface RoleBindingQuery {
  readonly limit: number;
  readonly cursor?: string | undefined;
  readonly spaceId?: string | undefined;
  readonly accountId?: string | undefined;
  readonly role?: string | undefined;
  /** Names are the roles'. */
  readonly scope: Scope;
}

export async function listRoleBindings(reader: Reader, query: RoleBindingQuery): Promise<Page<StoredRoleBinding>> {
  let select = joined(reader).where((builder) =>
    withinScope(builder, query.scope, { spaceId: "role_bindings.space_id", name: "role_bindings.role_name" }),
  );
  if (query.spaceId !== undefined) select = select.where("role_bindings.space_id", "=", query.spaceId);
  if (query.accountId !== undefined) select = select.where("role_bindings.account_id", "=", query.accountId);
  if (query.role !== undefined) select = select.where("role_bindings.role_name", "=", query.role);
  if (query.cursor !== undefined) {
    const cursor = decodeCursor(query.cursor);
    select = select.where((builder) =>
      olderThan(builder, cursor, { createdAt: "role_bindings.created_at", id: "role_bindings.id" }),
    );
  }
  const rows = await select
    .orderBy("role_bindings.created_at", "desc")
    .orderBy("role_bindings.id", "desc")
    .limit(query.limit + 1)
    .execute();
  return pageOf(rows, query.limit, (row) => row);
}

export interface NewRoleBinding {
  readonly role: string;
  readonly accountId: string;
  /** Null is everywhere. */
  readonly spaceId: string | null;
}

/** Whether just this is bound already. */
export async function isBound(reader: Reader, binding: NewRoleBinding): Promise<boolean> {
  const row = await reader
    .selectFrom("role_bindings")
    .select("id")
    .where("role_name", "=", binding.role)
    .where("account_id", "=", binding.accountId)
    .where("space_id", binding.spaceId === null ? "is" : "=", binding.spaceId)
    .executeTakeFirst();
  return row !== undefined;
}

export async function insertRoleBinding(transaction: Transaction, binding: NewRoleBinding): Promise<string> {
  const id = randomUUIDv7();
  await transaction
    .insertInto("role_bindings")
    .values({
      id,
      role_name: binding.role,
      account_id: binding.accountId,
      space_id: binding.spaceId,
      created_at: now(),
    })
    .execute();
  return id;
}

export async function deleteRoleBinding(transaction: Transaction, id: string): Promise<void> {
  await transaction.deleteFrom("role_bindings").where("id", "=", id).execute();
}

export async function countBindingsOfRole(reader: Reader, role: string): Promise<number> {
  const row = await reader
    .selectFrom("role_bindings")
    .select((builder) => builder.fn.countAll().as("count"))
    .where("role_name", "=", role)
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

export interface AccountBinding {
  readonly role: string;
  readonly rules: readonly Rule[];
  /** Null is everywhere. */
  readonly spaceId: string | null;
}

/** What an account is bound to, with the rules as they are now. */
export async function listAccountBindings(reader: Reader, accountId: string): Promise<AccountBinding[]> {
  const rows = await reader
    .selectFrom("role_bindings")
    .innerJoin("roles", "roles.name", "role_bindings.role_name")
    .select(["role_bindings.role_name", "roles.rules", "role_bindings.space_id"])
    .where("role_bindings.account_id", "=", accountId)
    .orderBy("role_bindings.id")
    .execute();
  return rows.map((row) => ({ role: row.role_name, rules: parseRules(row.rules), spaceId: row.space_id }));
}
