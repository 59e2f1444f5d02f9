import { Keyring } from "../security/keyring.ts";
import { type EncryptionKey, encryptionKeyOf, findKeyFile, type Keys } from "../security/keys.ts";
import { SecretBox } from "../security/secrets.ts";
import {
  deleteWrappedKey,
  listWrappedKeys,
  lockEncryptionKeyId,
  putWrappedKey,
  writeEncryptionKeyId,
} from "../store/encryption-keys.ts";
import type { Reader, Store, Transaction } from "../store/store.ts";

/** Where a key is kept for others: no secret can have a name like this. */
const placeOf = (keyId: string) => ({ spaceId: "", keyName: `encryption key ${keyId}` });

/**
 * The keys of this server, with those that a rotation has left for it. The first server's key is the one that secrets are
 * sealed with. Throws KeyError when what is sealed can't be opened with the key that was given.
 */
export async function openKeyring(store: Store, keys: Keys, dataDirectory: string): Promise<Keyring> {
  const keyring = keyringOf(store.read, keys.encryption, dataDirectory);
  const current = await store.write(async (transaction) => {
    const id = await lockEncryptionKeyId(transaction);
    if (id === "") await writeEncryptionKeyId(transaction, keys.encryption.id);
    // A server that was started with the new key ends a rotation to it: nobody needs to find it by the older one.
    if (id === keys.encryption.id) await deleteWrappedKey(transaction, id);
    return id === "" ? keys.encryption.id : id;
  });
  await keyring.need(current);
  return keyring;
}

/** A key with all others that are reached from it. */
export function keyringOf(reader: Reader, key: EncryptionKey, dataDirectory: string): Keyring {
  const keyring: Keyring = new Keyring(
    [key],
    async (id) => (await findKeyFile(dataDirectory, id)) ?? findWrapped(reader, keyring, id),
  );
  return keyring;
}

async function findWrapped(reader: Reader, keyring: Keyring, id: string): Promise<EncryptionKey | undefined> {
  for (const row of await listWrappedKeys(reader, id)) {
    const wrapping = keyring.get(row.wrapped_by);
    if (wrapping === undefined) continue;
    const opened = new SecretBox(wrapping).open({ keyId: row.wrapped_by, sealed: row.sealed }, placeOf(id));
    return encryptionKeyOf(Buffer.from(opened, "base64"));
  }
  return undefined;
}

/** Keeps a key in the database for servers that have the other one. */
export async function wrapKey(transaction: Transaction, key: EncryptionKey, by: EncryptionKey): Promise<void> {
  const { sealed } = new SecretBox(by).seal(Buffer.from(key.bytes).toString("base64"), placeOf(key.id));
  await putWrappedKey(transaction, { keyId: key.id, wrappedBy: by.id, sealed });
}
