import { randomUUIDv7 } from "node:crypto";
import type { Secret } from "@raworc/contract";
import type { Scope } from "../domain/access-scope.ts";
import { decodeCursor, olderThan, type Page, pageOf } from "./cursors.ts";
import type { SecretRow, SecretVersionRow } from "./rows.ts";
import { withinScope } from "./scopes.ts";
import { runStatement } from "./statement.ts";
import type { Reader, Transaction } from "./store.ts";
import { now } from "./time.ts";

/** A secret with its value sealed. */
export type StoredSecret = SecretRow;

/** What users see of a secret; without its value. */
export function presentSecret(secret: StoredSecret, space: string): Secret {
  const { key_name, description, version, created_at, updated_at, created_by } = secret;
  return { key_name, space, description, version, created_at, updated_at, created_by };
}

export async function findSecret(reader: Reader, spaceId: string, keyName: string): Promise<StoredSecret | undefined> {
  return reader
    .selectFrom("secrets")
    .selectAll()
    .where("space_id", "=", spaceId)
    .where("key_name", "=", keyName)
    .executeTakeFirst();
}

export interface SecretQuery {
  readonly spaceId: string;
  readonly limit: number;
  readonly cursor?: string | undefined;
  /** A secret is shown when it is in all of them. */
  readonly scopes: readonly Scope[];
}

export async function listSecrets(reader: Reader, query: SecretQuery): Promise<Page<StoredSecret>> {
  let select = reader.selectFrom("secrets").selectAll().where("space_id", "=", query.spaceId);
  for (const scope of query.scopes) {
    select = select.where((builder) => withinScope(builder, scope, { spaceId: "space_id", name: "key_name" }));
  }
  if (query.cursor !== undefined) {
    const cursor = decodeCursor(query.cursor);
    select = select.where((builder) => olderThan(builder, cursor, { createdAt: "created_at", id: "id" }));
  }
  const rows = await select
    .orderBy("created_at", "desc")
    .orderBy("id", "desc")
    .limit(query.limit + 1)
    .execute();
  return pageOf(rows, query.limit, (row) => row);
}

/** All secrets of a space, by name. */
export async function listSecretsOfSpace(reader: Reader, spaceId: string): Promise<StoredSecret[]> {
  return reader.selectFrom("secrets").selectAll().where("space_id", "=", spaceId).orderBy("key_name").execute();
}

export interface SealedValue {
  readonly keyId: string;
  readonly sealed: string;
}

export interface NewSecret {
  readonly spaceId: string;
  readonly keyName: string;
  readonly value: SealedValue;
  readonly description: string;
  readonly createdBy: string;
}

export async function insertSecret(transaction: Transaction, secret: NewSecret): Promise<StoredSecret> {
  const time = now();
  const row: SecretRow = {
    id: randomUUIDv7(),
    space_id: secret.spaceId,
    key_name: secret.keyName,
    key_id: secret.value.keyId,
    sealed: secret.value.sealed,
    description: secret.description,
    version: 1,
    created_at: time,
    updated_at: time,
    created_by: secret.createdBy,
  };
  await transaction.insertInto("secrets").values(row).execute();
  await touchSecrets(transaction, secret.spaceId);
  return row;
}

export interface SecretChange {
  readonly value?: SealedValue | undefined;
  readonly description?: string | undefined;
}

export async function updateSecret(
  transaction: Transaction,
  secret: StoredSecret,
  change: SecretChange,
): Promise<StoredSecret> {
  const { value, description } = change;
  const row: SecretRow = {
    ...secret,
    version: secret.version + 1,
    updated_at: now(),
    ...(description === undefined ? {} : { description }),
    ...(value === undefined ? {} : { key_id: value.keyId, sealed: value.sealed }),
  };
  const { id: _, ...fields } = row;
  await transaction.updateTable("secrets").set(fields).where("id", "=", secret.id).execute();
  await touchSecrets(transaction, secret.space_id);
  return row;
}

export async function deleteSecret(transaction: Transaction, secret: StoredSecret): Promise<void> {
  await transaction.deleteFrom("secrets").where("id", "=", secret.id).execute();
  await touchSecrets(transaction, secret.space_id);
}

/** Differs whenever a secret of the space was made, changed or deleted; 0 where there never was one. */
export async function readSecretsVersion(reader: Reader, spaceId: string): Promise<number> {
  const statement = "select version from secret_versions where space_id = ?";
  const [row] = await runStatement<Pick<SecretVersionRow, "version">>(reader, statement, [spaceId]);
  return Number(row?.version ?? 0);
}

async function touchSecrets(transaction: Transaction, spaceId: string): Promise<void> {
  const { numUpdatedRows } = await transaction
    .updateTable("secret_versions")
    .set((builder) => ({ version: builder("version", "+", 1) }))
    .where("space_id", "=", spaceId)
    .executeTakeFirst();
  if (numUpdatedRows > 0n) return;
  await transaction.insertInto("secret_versions").values({ space_id: spaceId, version: 1 }).execute();
}

/** Secrets that are sealed with another key than this one, in a steady order. */
export async function listSecretsNotSealedWith(
  reader: Reader,
  keyId: string,
  after: string,
  limit: number,
): Promise<StoredSecret[]> {
  return reader
    .selectFrom("secrets")
    .selectAll()
    .where("key_id", "!=", keyId)
    .where("id", ">", after)
    .orderBy("id")
    .limit(limit)
    .execute();
}

/** Puts the same value under another seal: nothing that anybody sees changes. */
export async function resealSecret(transaction: Transaction, id: string, value: SealedValue): Promise<void> {
  await transaction
    .updateTable("secrets")
    .set({ key_id: value.keyId, sealed: value.sealed })
    .where("id", "=", id)
    .execute();
}
