import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from "node:crypto";

const ALGORITHM = "aes-256-gcm";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;

/**
 * What is remembered of requests without being readable in the database: what was asked is kept as a keyed hash, since it
 * may be a password that could be guessed, and what was answered is sealed, since it may show what a command has printed.
 * Servers with the same signing key read each other's.
 */
export class RequestSeal {
  readonly #hashKey: Buffer;
  readonly #sealKey: Buffer;

  constructor(secret: Uint8Array) {
    const derive = (use: string) => Buffer.from(hkdfSync("sha256", secret, "", `raworc ${use}`, KEY_BYTES));
    this.#hashKey = derive("request hash");
    this.#sealKey = derive("answer seal");
  }

  /** 64 hex digits. */
  hash(parts: readonly string[]): string {
    const hmac = createHmac("sha256", this.#hashKey);
    // With their lengths: no two lists of parts are the same text.
    for (const part of parts) hmac.update(`${part.length}:`).update(part);
    return hmac.digest("hex");
  }

  /** Opens only under the same id. */
  seal(text: string, id: string): string {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.#sealKey, nonce).setAAD(Buffer.from(id));
    return Buffer.concat([nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]).toString("base64");
  }

  /** Undefined for what was sealed with another key, for another id, or was changed. */
  open(sealed: string, id: string): string | undefined {
    const bytes = Buffer.from(sealed, "base64");
    if (bytes.length < NONCE_BYTES + TAG_BYTES) return undefined;
    try {
      const decipher = createDecipheriv(ALGORITHM, this.#sealKey, bytes.subarray(0, NONCE_BYTES));
      decipher.setAAD(Buffer.from(id)).setAuthTag(bytes.subarray(-TAG_BYTES));
      return decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES), undefined, "utf8") + decipher.final("utf8");
    } catch {
      return undefined;
    }
  }
}
