import { randomUUIDv7 } from "node:crypto";
import { Rule } from "@raworc/contract";
import { z } from "zod";
import type { AccountRow } from "./rows.ts";
import type { Reader, Transaction } from "./store.ts";
import { now } from "./time.ts";

export interface Account {
  readonly id: string;
  readonly user: string;
  readonly passwordHash: string;
  readonly active: boolean;
  readonly tokensValidFrom: string;
}

function toAccount(row: AccountRow): Account {
  return {
    id: row.id,
    user: row.user,
    passwordHash: row.password_hash,
    active: row.active === 1,
    tokensValidFrom: row.tokens_valid_from,
  };
}

export async function findAccount(reader: Reader, user: string): Promise<Account | undefined> {
  const row = await reader.selectFrom("accounts").selectAll().where("user", "=", user).executeTakeFirst();
  return row === undefined ? undefined : toAccount(row);
}

export async function getAccountById(reader: Reader, id: string): Promise<Account | undefined> {
  const row = await reader.selectFrom("accounts").selectAll().where("id", "=", id).executeTakeFirst();
  return row === undefined ? undefined : toAccount(row);
}

export interface NewAccount {
  readonly user: string;
  readonly passwordHash: string;
  readonly description: string;
}

export async function insertAccount(transaction: Transaction, account: NewAccount): Promise<Account> {
  const time = now();
  const row: AccountRow = {
    id: randomUUIDv7(),
    user: account.user,
    password_hash: account.passwordHash,
    description: account.description,
    active: 1,
    tokens_valid_from: time,
    created_at: time,
    updated_at: time,
  };
  await transaction.insertInto("accounts").values(row).execute();
  return toAccount(row);
}

export interface AccountBinding {
  readonly role: string;
  readonly rules: readonly Rule[];
  /** Null is everywhere. */
  readonly spaceId: string | null;
}

const Rules = z.array(Rule);

export async function listAccountBindings(reader: Reader, accountId: string): Promise<AccountBinding[]> {
  const rows = await reader
    .selectFrom("role_bindings")
    .innerJoin("roles", "roles.name", "role_bindings.role_name")
    .select(["role_bindings.role_name", "roles.rules", "role_bindings.space_id"])
    .where("role_bindings.account_id", "=", accountId)
    .orderBy("role_bindings.id")
    .execute();
  return rows.map((row) => ({
    role: row.role_name,
    rules: Rules.parse(JSON.parse(row.rules)),
    spaceId: row.space_id,
  }));
}

export interface NewRole {
  readonly name: string;
  readonly description: string;
  readonly rules: readonly Rule[];
}

/** Writes a built-in role as this version knows it. */
export async function putBuiltInRole(transaction: Transaction, role: NewRole): Promise<void> {
  const rules = JSON.stringify(role.rules);
  const known = await transaction.selectFrom("roles").select("name").where("name", "=", role.name).executeTakeFirst();
  if (known !== undefined) {
    const changed = { description: role.description, rules };
    await transaction.updateTable("roles").set(changed).where("name", "=", role.name).execute();
    return;
  }
  const row = { name: role.name, description: role.description, rules, built_in: 1, created_at: now() };
  await transaction.insertInto("roles").values(row).execute();
}

export async function bindRole(
  transaction: Transaction,
  binding: { readonly role: string; readonly accountId: string; readonly spaceId: string | null },
): Promise<void> {
  await transaction
    .insertInto("role_bindings")
    .values({
      id: randomUUIDv7(),
      role_name: binding.role,
      account_id: binding.accountId,
      space_id: binding.spaceId,
      created_at: now(),
    })
    .execute();
}
