import type { WrappedKeyRow } from "./rows.ts";
import type { Reader, Transaction } from "./store.ts";
import { now } from "./time.ts";

/** Id of the key that secrets are sealed with from now on; empty before the first start. */
export async function readEncryptionKeyId(reader: Reader): Promise<string> {
  const row = await reader
    .selectFrom("settings")
    .select("value")
    .where("name", "=", "encryption_key")
    .executeTakeFirstOrThrow();
  return row.value;
}

/**
 * The same, and it stays so until the commit: whoever seals in this transaction can't be overtaken by a rotation, which
 * would throw away the key.
 */
export async function lockEncryptionKeyId(transaction: Transaction): Promise<string> {
  await transaction
    .updateTable("settings")
    .set((builder) => ({ value: builder.ref("value") }))
    .where("name", "=", "encryption_key")
    .execute();
  return readEncryptionKeyId(transaction);
}

export async function writeEncryptionKeyId(transaction: Transaction, keyId: string): Promise<void> {
  await transaction.updateTable("settings").set({ value: keyId }).where("name", "=", "encryption_key").execute();
}

/** The seals under which a key is kept for servers that don't have it. */
export async function listWrappedKeys(reader: Reader, keyId: string): Promise<WrappedKeyRow[]> {
  return reader.selectFrom("wrapped_keys").selectAll().where("key_id", "=", keyId).execute();
}

export async function putWrappedKey(
  transaction: Transaction,
  key: { readonly keyId: string; readonly wrappedBy: string; readonly sealed: string },
): Promise<void> {
  const { keyId, wrappedBy, sealed } = key;
  await transaction
    .deleteFrom("wrapped_keys")
    .where("key_id", "=", keyId)
    .where("wrapped_by", "=", wrappedBy)
    .execute();
  const row: WrappedKeyRow = { key_id: keyId, wrapped_by: wrappedBy, sealed, created_at: now() };
  await transaction.insertInto("wrapped_keys").values(row).execute();
}

/** Forgets a key under all seals. */
export async function deleteWrappedKey(transaction: Transaction, keyId: string): Promise<void> {
  await transaction.deleteFrom("wrapped_keys").where("key_id", "=", keyId).execute();
}

/** Forgets all keys that are kept under seals, but one. */
export async function deleteOtherWrappedKeys(transaction: Transaction, keyId: string): Promise<void> {
  await transaction.deleteFrom("wrapped_keys").where("key_id", "!=", keyId).execute();
}
