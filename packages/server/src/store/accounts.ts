import { randomUUIDv7 } from "node:crypto";
import type { ServiceAccount } from "@raworc/contract";
import type { Scope } from "../domain/access-scope.ts";
import { decodeCursor, olderThan, type Page, pageOf } from "./cursors.ts";
import type { AccountRow } from "./rows.ts";
import { withinScope } from "./scopes.ts";
import type { Reader, Transaction } from "./store.ts";
import { now } from "./time.ts";

export interface StoredAccount extends Omit<AccountRow, "active"> {
  readonly active: boolean;
}

function toAccount(row: AccountRow): StoredAccount {
  return { ...row, active: row.active === 1 };
}

/** What users see of an account. */
export function presentAccount(account: StoredAccount): ServiceAccount {
  const { user, description, active, created_at, updated_at } = account;
  return { user, description, active, created_at, updated_at };
}

export async function findAccount(reader: Reader, user: string): Promise<StoredAccount | undefined> {
  const row = await reader.selectFrom("accounts").selectAll().where("user", "=", user).executeTakeFirst();
  return row === undefined ? undefined : toAccount(row);
}

export async function findAccountById(reader: Reader, id: string): Promise<StoredAccount | undefined> {
  const row = await reader.selectFrom("accounts").selectAll().where("id", "=", id).executeTakeFirst();
  return row === undefined ? undefined : toAccount(row);
}

export interface AccountQuery {
  readonly limit: number;
  readonly cursor?: string | undefined;
  readonly active?: boolean | undefined;
  readonly scope: Scope;
}

export async function listAccounts(reader: Reader, query: AccountQuery): Promise<Page<StoredAccount>> {
  let select = reader
    .selectFrom("accounts")
    .selectAll()
    .where((builder) => withinScope(builder, query.scope, { spaceId: "id", name: "user" }));
  if (query.active !== undefined) select = select.where("active", "=", query.active ? 1 : 0);
  if (query.cursor !== undefined) {
    const cursor = decodeCursor(query.cursor);
    select = select.where((builder) => olderThan(builder, cursor, { createdAt: "created_at", id: "id" }));
  }
  const rows = await select
    .orderBy("created_at", "desc")
    .orderBy("id", "desc")
    .limit(query.limit + 1)
    .execute();
  return pageOf(rows, query.limit, toAccount);
}

export interface NewAccount {
  readonly user: string;
  readonly passwordHash: string;
  readonly description: string;
  readonly active: boolean;
}

export async function insertAccount(transaction: Transaction, account: NewAccount): Promise<StoredAccount> {
  const time = now();
  const row: AccountRow = {
    id: randomUUIDv7(),
    user: account.user,
    password_hash: account.passwordHash,
    description: account.description,
    active: account.active ? 1 : 0,
    token_generation: 0,
    created_at: time,
    updated_at: time,
  };
  await transaction.insertInto("accounts").values(row).execute();
  return toAccount(row);
}

export interface AccountChange {
  readonly passwordHash?: string | undefined;
  readonly description?: string | undefined;
  readonly active?: boolean | undefined;
}

/** A new password and a deactivation end all tokens of the account. */
export async function updateAccount(
  transaction: Transaction,
  id: string,
  change: AccountChange,
): Promise<StoredAccount> {
  const { passwordHash, description, active } = change;
  const ends = passwordHash !== undefined || active === false;
  if (ends) await transaction.deleteFrom("api_tokens").where("account_id", "=", id).execute();
  await transaction
    .updateTable("accounts")
    .set((builder) => ({
      updated_at: now(),
      ...(passwordHash === undefined ? {} : { password_hash: passwordHash }),
      ...(description === undefined ? {} : { description }),
      ...(active === undefined ? {} : { active: active ? 1 : 0 }),
      ...(ends ? { token_generation: builder("token_generation", "+", 1) } : {}),
    }))
    .where("id", "=", id)
    .execute();
  return toAccount(await transaction.selectFrom("accounts").selectAll().where("id", "=", id).executeTakeFirstOrThrow());
}

/** Its bindings and API tokens go with it. */
export async function deleteAccount(transaction: Transaction, id: string): Promise<void> {
  await transaction.deleteFrom("accounts").where("id", "=", id).execute();
}

/** Active accounts that are bound everywhere to the role, but for one account or one binding. */
export async function countActiveHolders(
  reader: Reader,
  role: string,
  except: { readonly accountId?: string; readonly bindingId?: string },
): Promise<number> {
  const row = await reader
    .selectFrom("role_bindings")
    .innerJoin("accounts", "accounts.id", "role_bindings.account_id")
    .select((builder) => builder.fn.count("accounts.id").distinct().as("count"))
    .where("role_bindings.role_name", "=", role)
    .where("role_bindings.space_id", "is", null)
    .where("accounts.active", "=", 1)
    .where("accounts.id", "!=", except.accountId ?? "")
    .where("role_bindings.id", "!=", except.bindingId ?? "")
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

/** Whether there has ever been an account. */
export async function hasAccounts(reader: Reader): Promise<boolean> {
  return (await reader.selectFrom("accounts").select("id").limit(1).executeTakeFirst()) !== undefined;
}
