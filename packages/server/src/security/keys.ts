import { createHash, randomBytes } from "node:crypto";
import { link, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

/** A key that secrets are encrypted with; its id is stored beside each. */
export interface EncryptionKey {
  readonly id: string;
  readonly bytes: Uint8Array;
}

export interface Keys {
  readonly signing: Uint8Array;
  readonly encryption: EncryptionKey;
  /** Whether the encryption key is kept in the data directory, and not given from outside. */
  readonly ownsEncryption: boolean;
}

export interface KeySources {
  readonly dataDirectory: string;
  readonly jwtSecret?: Uint8Array | undefined;
  readonly encryptionKey?: Uint8Array | undefined;
  readonly encryptionKeyFile?: string | undefined;
}

/** A key can't be had. The message says what to do. */
export class KeyError extends Error {
  override readonly name = "KeyError";
}

const KEY_BYTES = 32;
const OTHERS = 0o077;

/** 32 bytes in hex or base64 (either alphabet); undefined for all else. */
export function parseKey(text: string): Uint8Array | undefined {
  const trimmed = text.trim();
  if (/^[0-9a-f]{64}$/i.test(trimmed)) return Buffer.from(trimmed, "hex");
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(trimmed)) return undefined;
  return Buffer.from(trimmed, "base64");
}

export function encryptionKeyOf(bytes: Uint8Array): EncryptionKey {
  const id = createHash("sha256").update("raworc encryption key\0").update(bytes).digest("hex").slice(0, 16);
  return { id, bytes };
}

/**
 * The control plane's keys: those given, else those in the data directory, which are made where they are missing. Several
 * servers may start at once on one directory and get the same keys. Throws KeyError.
 */
export async function loadKeys(sources: KeySources): Promise<Keys> {
  const { dataDirectory } = sources;
  const signing = sources.jwtSecret ?? (await ensureKey(keyPath(dataDirectory, "signing")));
  const given = sources.encryptionKey ?? (await readGivenKey(sources.encryptionKeyFile));
  const encryption = given ?? (await ensureKey(keyPath(dataDirectory, "encryption")));
  return { signing, encryption: encryptionKeyOf(encryption), ownsEncryption: given === undefined };
}

/** The encryption key as `loadKeys` would find it; undefined where it would make one. Throws KeyError. */
export async function findEncryptionKey(sources: KeySources): Promise<EncryptionKey | undefined> {
  const given = sources.encryptionKey ?? (await readGivenKey(sources.encryptionKeyFile));
  const bytes = given ?? (await readOwnKey(keyPath(sources.dataDirectory, "encryption")));
  return bytes === undefined ? undefined : encryptionKeyOf(bytes);
}

/** `encryption-next` is there while a rotation is under way, and takes the place of `encryption` at its end. */
function keyPath(dataDirectory: string, name: "signing" | "encryption" | "encryption-next"): string {
  return join(dataDirectory, "keys", `${name}.key`);
}

/** The encryption key with this id, if the data directory has it. Throws KeyError. */
export async function findKeyFile(dataDirectory: string, id: string): Promise<EncryptionKey | undefined> {
  for (const name of ["encryption-next", "encryption"] as const) {
    const bytes = await readOwnKey(keyPath(dataDirectory, name));
    const key = bytes === undefined ? undefined : encryptionKeyOf(bytes);
    if (key?.id === id) return key;
  }
  return undefined;
}

/** The key that a rotation goes to: the one that a rotation which was cut short has made, else a new one. Throws KeyError. */
export async function ensureNextKey(dataDirectory: string): Promise<EncryptionKey> {
  return encryptionKeyOf(await ensureKey(keyPath(dataDirectory, "encryption-next")));
}

/** Ends a rotation: the older key is gone. Throws KeyError. */
export async function promoteNextKey(dataDirectory: string): Promise<void> {
  const path = keyPath(dataDirectory, "encryption");
  try {
    await rename(keyPath(dataDirectory, "encryption-next"), path);
    await syncDirectory(dirname(path));
  } catch (error) {
    throw new KeyError(`The new key can't take the place of ${path}. Check that this user may write there.`, {
      cause: error,
    });
  }
}

async function readGivenKey(path: string | undefined): Promise<Uint8Array | undefined> {
  if (path === undefined) return undefined;
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new KeyError(
      `RAWORC_ENCRYPTION_KEY_FILE names ${path}, which can't be read. Check the path and its rights.`,
      {
        cause: error,
      },
    );
  }
  const key = parseKey(text);
  if (key !== undefined) return key;
  throw new KeyError(`RAWORC_ENCRYPTION_KEY_FILE names ${path}, which must hold 32 bytes in hex or base64.`);
}

async function ensureKey(path: string): Promise<Uint8Array> {
  return (await readOwnKey(path)) ?? (await makeKey(path));
}

async function readOwnKey(path: string): Promise<Uint8Array | undefined> {
  let text: string;
  try {
    const { mode } = await stat(path);
    if ((mode & OTHERS) !== 0) throw new KeyError(`Others may read the key ${path}. Run: chmod 600 ${path}`);
    text = await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof KeyError) throw error;
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new KeyError(`The key ${path} can't be read. Check that this user owns it.`, { cause: error });
  }
  const key = parseKey(text);
  if (key !== undefined) return key;
  throw new KeyError(
    `The key ${path} is damaged. Restore it from a backup; a new one could not read what is encrypted.`,
  );
}

/** The file appears whole or not at all; of several who make it at once, one wins and all read the winner's. */
async function makeKey(path: string): Promise<Uint8Array> {
  const draft = `${path}.${randomBytes(8).toString("hex")}`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(draft, "wx", 0o600);
    try {
      await file.writeFile(`${randomBytes(KEY_BYTES).toString("base64")}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(draft, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
    await syncDirectory(dirname(path));
  } catch (error) {
    throw new KeyError(`The key ${path} can't be made. Check that this user may write there.`, { cause: error });
  } finally {
    await rm(draft, { force: true });
  }
  const key = await readOwnKey(path);
  if (key === undefined) throw new KeyError(`The key ${path} has vanished while it was made. Start again.`);
  return key;
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
