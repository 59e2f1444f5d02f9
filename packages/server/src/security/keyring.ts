import { type EncryptionKey, KeyError } from "./keys.ts";
import { SecretBox } from "./secrets.ts";

/** Looks for a key that came after the start: in files, or where another server has left it. */
export type FindKey = (id: string) => Promise<EncryptionKey | undefined>;

/** The encryption keys that this process has. New ones are found when they are first needed, so rotation needs no restart. */
export class Keyring {
  readonly #keys = new Map<string, EncryptionKey>();
  readonly #find: FindKey;
  #box: SecretBox | undefined;

  constructor(keys: readonly EncryptionKey[], find: FindKey = async () => undefined) {
    for (const key of keys) this.#keys.set(key.id, key);
    this.#find = find;
  }

  get(id: string): EncryptionKey | undefined {
    return this.#keys.get(id);
  }

  add(key: EncryptionKey): void {
    if (this.#keys.has(key.id)) return;
    this.#keys.set(key.id, key);
    this.#box = undefined;
  }

  /** The key, wherever it is. Throws KeyError. */
  async need(id: string): Promise<EncryptionKey> {
    const known = this.#keys.get(id);
    if (known !== undefined) return known;
    const found = await this.#find(id);
    if (found === undefined) {
      throw new KeyError(
        `Something is sealed with the encryption key ${id}, which is not here. Give the server that key: ` +
          "RAWORC_ENCRYPTION_KEY, RAWORC_ENCRYPTION_KEY_FILE, or the file in the data directory.",
      );
    }
    this.add(found);
    return found;
  }

  /** Seals with the key of that id, and opens with all that are here. Throws KeyError. */
  async boxFor(id: string): Promise<SecretBox> {
    if (this.#box?.keyId === id) return this.#box;
    const primary = await this.need(id);
    this.#box = new SecretBox(primary, [...this.#keys.values()]);
    return this.#box;
  }
}
