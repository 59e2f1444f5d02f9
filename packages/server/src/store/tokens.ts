import { randomUUIDv7 } from "node:crypto";
import type { ApiToken } from "@raworc/contract";
import type { Scope } from "../domain/access-scope.ts";
import { decodeCursor, olderThan, type Page, pageOf } from "./cursors.ts";
import type { ApiTokenRow } from "./rows.ts";
import { withinScope } from "./scopes.ts";
import type { Reader, Transaction } from "./store.ts";
import { now } from "./time.ts";

/** An API token's record with the names of what it belongs to. */
export interface StoredApiToken extends ApiTokenRow {
  readonly user: string;
  readonly space_name: string | null;
}

/** What users see of a token. */
export function presentApiToken(token: StoredApiToken): ApiToken {
  return {
    id: token.id,
    name: token.name,
    user: token.user,
    space: token.space_name,
    role: token.role_name,
    created_at: token.created_at,
    expires_at: token.expires_at,
  };
}

/** Outer joins, also where there is a row for sure: MySQL would begin a list with an inner one, and sort it all. */
const joined = (reader: Reader) =>
  reader
    .selectFrom("api_tokens")
    .leftJoin("accounts", "accounts.id", "api_tokens.account_id")
    .leftJoin("spaces", "spaces.id", "api_tokens.space_id")
    .selectAll("api_tokens")
    .select((eb) => [eb.ref("accounts.user").$notNull().as("user"), "spaces.name as space_name"]);

export async function findApiToken(reader: Reader, id: string): Promise<StoredApiToken | undefined> {
  return joined(reader).where("api_tokens.id", "=", id).executeTakeFirst();
}

export async function findApiTokenByHash(reader: Reader, hash: string): Promise<ApiTokenRow | undefined> {
  return reader.selectFrom("api_tokens").selectAll().where("token_hash", "=", hash).executeTakeFirst();
}

export interface ApiTokenQuery {
  readonly limit: number;
  readonly cursor?: string | undefined;
  readonly accountId?: string | undefined;
  /** Owners are accounts, names are the accounts'. */
  readonly scope: Scope;
  /** Where the asking token is limited itself: only tokens within the same limits. */
  readonly within: { readonly spaceId?: string | undefined; readonly role?: string | undefined };
}

export async function listApiTokens(reader: Reader, query: ApiTokenQuery): Promise<Page<StoredApiToken>> {
  let select = joined(reader).where((builder) =>
    withinScope(builder, query.scope, {
      spaceId: "api_tokens.space_id",
      name: "accounts.user",
      ownerId: "api_tokens.account_id",
    }),
  );
  if (query.accountId !== undefined) select = select.where("api_tokens.account_id", "=", query.accountId);
  if (query.within.spaceId !== undefined) select = select.where("api_tokens.space_id", "=", query.within.spaceId);
  if (query.within.role !== undefined) select = select.where("api_tokens.role_name", "=", query.within.role);
  if (query.cursor !== undefined) {
    const cursor = decodeCursor(query.cursor);
    select = select.where((builder) =>
      olderThan(builder, cursor, { createdAt: "api_tokens.created_at", id: "api_tokens.id" }),
    );
  }
  const rows = await select
    .orderBy("api_tokens.created_at", "desc")
    .orderBy("api_tokens.id", "desc")
    .limit(query.limit + 1)
    .execute();
  return pageOf(rows, query.limit, (row) => row);
}

export interface NewApiToken {
  readonly accountId: string;
  readonly name: string;
  readonly hash: string;
  readonly spaceId: string | null;
  readonly role: string | null;
  readonly expiresAt: string | null;
}

export async function insertApiToken(transaction: Transaction, token: NewApiToken): Promise<string> {
  const row: ApiTokenRow = {
    id: randomUUIDv7(),
    account_id: token.accountId,
    name: token.name,
    token_hash: token.hash,
    space_id: token.spaceId,
    role_name: token.role,
    created_at: now(),
    expires_at: token.expiresAt,
  };
  await transaction.insertInto("api_tokens").values(row).execute();
  return row.id;
}

export async function deleteApiToken(transaction: Transaction, id: string): Promise<void> {
  await transaction.deleteFrom("api_tokens").where("id", "=", id).execute();
}

/** Tokens that are limited to a role and have not ended; those that have are removed on the way. */
export async function countTokensOfRole(transaction: Transaction, role: string): Promise<number> {
  await transaction.deleteFrom("api_tokens").where("role_name", "=", role).where("expires_at", "<", now()).execute();
  const row = await transaction
    .selectFrom("api_tokens")
    .select((builder) => builder.fn.countAll().as("count"))
    .where("role_name", "=", role)
    .executeTakeFirstOrThrow();
  return Number(row.count);
}
