import { type Role, Rule } from "@raworc/contract";
import { z } from "zod";
import type { Scope } from "../domain/access-scope.ts";
import { decodeCursor, olderThan, type Page, pageOf } from "./cursors.ts";
import type { RoleRow } from "./rows.ts";
import { withinScope } from "./scopes.ts";
import type { Reader, Transaction } from "./store.ts";
import { now } from "./time.ts";

const Rules = z.array(Rule);

export function parseRules(text: string): Rule[] {
  return Rules.parse(JSON.parse(text));
}

function toRole(row: RoleRow): Role {
  return { ...row, rules: parseRules(row.rules), built_in: row.built_in === 1 };
}

export async function findRole(reader: Reader, name: string): Promise<Role | undefined> {
  const row = await reader.selectFrom("roles").selectAll().where("name", "=", name).executeTakeFirst();
  return row === undefined ? undefined : toRole(row);
}

export interface RoleQuery {
  readonly limit: number;
  readonly cursor?: string | undefined;
  readonly scope: Scope;
}

export async function listRoles(reader: Reader, query: RoleQuery): Promise<Page<Role>> {
  let select = reader
    .selectFrom("roles")
    .selectAll()
    .select("name as id")
    .where((builder) => withinScope(builder, query.scope, { spaceId: "name", name: "name" }));
  if (query.cursor !== undefined) {
    const cursor = decodeCursor(query.cursor);
    select = select.where((builder) => olderThan(builder, cursor, { createdAt: "created_at", id: "name" }));
  }
  const rows = await select
    .orderBy("created_at", "desc")
    .orderBy("name", "desc")
    .limit(query.limit + 1)
    .execute();
  return pageOf(rows, query.limit, ({ id: _, ...row }) => toRole(row));
}

export interface NewRole {
  readonly name: string;
  readonly description: string;
  readonly rules: readonly Rule[];
}

export async function insertRole(transaction: Transaction, role: NewRole): Promise<Role> {
  return insertRow(transaction, role, false);
}

async function insertRow(transaction: Transaction, role: NewRole, builtIn: boolean): Promise<Role> {
  const row: RoleRow = {
    name: role.name,
    description: role.description,
    rules: JSON.stringify(role.rules),
    built_in: builtIn ? 1 : 0,
    created_at: now(),
  };
  await transaction.insertInto("roles").values(row).execute();
  return toRole(row);
}

export interface RoleChange {
  readonly description?: string | undefined;
  readonly rules?: readonly Rule[] | undefined;
}

export async function updateRole(transaction: Transaction, name: string, change: RoleChange): Promise<Role> {
  const set = {
    ...(change.description === undefined ? {} : { description: change.description }),
    ...(change.rules === undefined ? {} : { rules: JSON.stringify(change.rules) }),
  };
  if (Object.keys(set).length > 0) {
    await transaction.updateTable("roles").set(set).where("name", "=", name).execute();
  }
  return toRole(await transaction.selectFrom("roles").selectAll().where("name", "=", name).executeTakeFirstOrThrow());
}

export async function deleteRole(transaction: Transaction, name: string): Promise<void> {
  await transaction.deleteFrom("roles").where("name", "=", name).execute();
}

/** Writes a built-in role as this version knows it. */
export async function putBuiltInRole(transaction: Transaction, role: NewRole): Promise<void> {
  const known = await findRole(transaction, role.name);
  if (known === undefined) await insertRow(transaction, role, true);
  else await updateRole(transaction, role.name, role);
}
