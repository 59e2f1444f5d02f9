import { systemEntry } from "../audit/audit-entry.ts";
import type { AuditLog } from "../audit/audit-log.ts";
import type { Keyring } from "../security/keyring.ts";
import { type EncryptionKey, KeyError } from "../security/keys.ts";
import { SecretError } from "../security/secrets.ts";
import {
  deleteOtherWrappedKeys,
  lockEncryptionKeyId,
  readEncryptionKeyId,
  writeEncryptionKeyId,
} from "../store/encryption-keys.ts";
import { listSecretsNotSealedWith, resealSecret, type StoredSecret } from "../store/secrets.ts";
import type { Store, Transaction } from "../store/store.ts";
import { wrapKey } from "./open-keyring.ts";
import { openSecret } from "./space-secrets.ts";

export interface RotateKeyOptions {
  readonly store: Store;
  readonly keyring: Keyring;
  readonly audit: AuditLog;
  readonly to: EncryptionKey;
  /**
   * Whether the new key comes from outside: then it and the older one are kept in the database, each sealed with the other,
   * so that servers which were started with the one can read what is sealed with the other. Keys in the data directory are
   * found there.
   */
  readonly leave: boolean;
}

export interface Rotation {
  readonly resealed: number;
  /** Secrets that no key opens, by internal id: they were lost before. */
  readonly unreadable: readonly string[];
}

/** Secrets sealed anew in one transaction: others write between. */
const BATCH = 50;

/**
 * Seals all secrets with another key, while servers run. From the first commit on everything new is sealed with the new
 * key, and both keys open what they have sealed; the older one is not needed when this resolves. Cut short at any place, it
 * is run again with the same keys.
 */
export async function rotateKey(options: RotateKeyOptions): Promise<Rotation> {
  options.keyring.add(options.to);
  await begin(options);
  return sealAnew(options, options.to.id);
}

/** Ends a rotation that was cut short. Undefined where there is nothing to do. */
export async function endRotation(
  options: Pick<RotateKeyOptions, "store" | "keyring" | "audit">,
): Promise<Rotation | undefined> {
  const { read } = options.store;
  const current = await readEncryptionKeyId(read);
  const older = await listSecretsNotSealedWith(read, current, "", 1);
  return older.length === 0 ? undefined : sealAnew(options, current);
}

async function sealAnew(
  { audit, keyring, store }: Pick<RotateKeyOptions, "store" | "keyring" | "audit">,
  keyId: string,
): Promise<Rotation> {
  const unreadable: string[] = [];
  let resealed = 0;
  for (let after: string | undefined = ""; after !== undefined; ) {
    const from: string = after;
    const batch = await store.write(async (transaction) => {
      const secrets = await listSecretsNotSealedWith(transaction, keyId, from, BATCH);
      const lost: string[] = [];
      for (const secret of secrets) if (!(await reseal(transaction, keyring, keyId, secret))) lost.push(secret.id);
      return { last: secrets.at(-1)?.id, count: secrets.length, lost };
    });
    resealed += batch.count - batch.lost.length;
    unreadable.push(...batch.lost);
    after = batch.last;
  }
  const details = { key_id: keyId, resealed, unreadable: unreadable.length };
  const head = await store.write(async (transaction) => {
    if (unreadable.length === 0) await deleteOtherWrappedKeys(transaction, keyId);
    return audit.append(transaction, systemEntry("rotate-key", "secrets", "allowed", details));
  });
  audit.committed(head);
  return { resealed, unreadable };
}

async function begin({ audit, keyring, leave, store, to }: RotateKeyOptions): Promise<void> {
  const head = await store.write(async (transaction) => {
    const current = await lockEncryptionKeyId(transaction);
    // Begun before, and cut short.
    if (current === to.id) return undefined;
    const from = await keyring.need(current);
    await writeEncryptionKeyId(transaction, to.id);
    if (leave) {
      await wrapKey(transaction, to, from);
      await wrapKey(transaction, from, to);
    }
    // From here on the chain is sealed with the new key, by which running servers learn of it.
    const entry = systemEntry("begin-rotate-key", "secrets", "allowed", { from: from.id, to: to.id });
    return audit.append(transaction, entry, to);
  });
  if (head !== undefined) audit.committed(head);
}

async function reseal(
  transaction: Transaction,
  keyring: Keyring,
  keyId: string,
  secret: StoredSecret,
): Promise<boolean> {
  const place = { spaceId: secret.space_id, keyName: secret.key_name };
  try {
    const value = await openSecret(keyring, secret);
    const box = await keyring.boxFor(keyId);
    await resealSecret(transaction, secret.id, box.seal(value, place));
    return true;
  } catch (error) {
    if (error instanceof SecretError || error instanceof KeyError) return false;
    throw error;
  }
}
