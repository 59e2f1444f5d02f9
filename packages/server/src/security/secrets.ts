import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import type { EncryptionKey } from "./keys.ts";

/** Where a secret belongs; a sealed value can't be opened anywhere else. */
export interface SecretPlace {
  /** Internal id of the space. */
  readonly spaceId: string;
  readonly keyName: string;
}

export interface SealedSecret {
  readonly keyId: string;
  /** Nonce, ciphertext and tag in base64. */
  readonly sealed: string;
}

/** A stored secret can't be opened: its key is not here, or it was changed. The message holds nothing of it. */
export class SecretError extends Error {
  override readonly name = "SecretError";
}

const ALGORITHM = "aes-256-gcm";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

function associatedData(keyId: string, place: SecretPlace): Buffer {
  return Buffer.from(JSON.stringify(["raworc-secret-1", keyId, place.spaceId, place.keyName]));
}

/** Seals secrets with the first key and opens them with whichever of the keys has sealed them. */
export class SecretBox {
  readonly #primary: EncryptionKey;
  readonly #keys: ReadonlyMap<string, EncryptionKey>;

  constructor(primary: EncryptionKey, others: readonly EncryptionKey[] = []) {
    this.#primary = primary;
    this.#keys = new Map([primary, ...others].map((key) => [key.id, key]));
  }

  /** Id of the key that new secrets are sealed with. */
  get keyId(): string {
    return this.#primary.id;
  }

  seal(value: string, place: SecretPlace): SealedSecret {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.#primary.bytes, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(associatedData(this.#primary.id, place));
    const parts = [nonce, cipher.update(value, "utf8"), cipher.final(), cipher.getAuthTag()];
    return { keyId: this.#primary.id, sealed: Buffer.concat(parts).toString("base64") };
  }

  /** Throws SecretError. */
  open(secret: SealedSecret, place: SecretPlace): string {
    const key = this.#keys.get(secret.keyId);
    if (key === undefined) {
      throw new SecretError(`The secret ${place.keyName} was sealed with the key ${secret.keyId}, which is not here.`);
    }
    const bytes = Buffer.from(secret.sealed, "base64");
    try {
      const decipher = createDecipheriv(ALGORITHM, key.bytes, bytes.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(associatedData(key.id, place));
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      const text = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES));
      return Buffer.concat([text, decipher.final()]).toString("utf8");
    } catch (error) {
      throw new SecretError(`The secret ${place.keyName} was changed since it was sealed, or belongs elsewhere.`, {
        cause: error,
      });
    }
  }
}
