import type { Keyring } from "../security/keyring.ts";
import { lockEncryptionKeyId } from "../store/encryption-keys.ts";
import { listSecretsOfSpace, readSecretsVersion, type SealedValue, type StoredSecret } from "../store/secrets.ts";
import type { Reader, Transaction } from "../store/store.ts";

export interface SpaceSecrets {
  /** Differs whenever a secret of the space has changed. */
  readonly version: number;
  readonly environment: Readonly<Record<string, string>>;
}

/** A secret's value. Throws KeyError or SecretError. */
export async function openSecret(keyring: Keyring, secret: StoredSecret): Promise<string> {
  const key = await keyring.need(secret.key_id);
  const box = await keyring.boxFor(key.id);
  return box.open(
    { keyId: secret.key_id, sealed: secret.sealed },
    { spaceId: secret.space_id, keyName: secret.key_name },
  );
}

/** Seals a value that is written in the same transaction, with the key that is in use until its commit. */
export async function sealSecret(
  transaction: Transaction,
  keyring: Keyring,
  place: { readonly spaceId: string; readonly keyName: string },
  value: string,
): Promise<SealedValue> {
  const box = await keyring.boxFor(await lockEncryptionKeyId(transaction));
  return box.seal(value, place);
}

/**
 * What a space's secrets add to the environment of its agents and commands. The version is no newer than the values, so
 * whoever compares versions may take the same values twice, but never misses any. Throws KeyError or SecretError.
 */
export async function secretsOfSpace(reader: Reader, keyring: Keyring, spaceId: string): Promise<SpaceSecrets> {
  const version = await readSecretsVersion(reader, spaceId);
  if (version === 0) return { version, environment: {} };
  const environment: Record<string, string> = {};
  for (const secret of await listSecretsOfSpace(reader, spaceId)) {
    environment[secret.key_name] = await openSecret(keyring, secret);
  }
  return { version, environment };
}
