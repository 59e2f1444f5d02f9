import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { encryptionKeyOf, loadKeys, parseKey } from "./keys.ts";

let dataDirectory = "";
beforeEach(() => {
  dataDirectory = mkdtempSync(join(tmpdir(), "raworc-keys-"));
});
afterEach(() => rmSync(dataDirectory, { recursive: true }));

test("keys are made once, for this user alone, and found again", async () => {
  const first = await loadKeys({ dataDirectory });
  expect([first.signing.length, first.encryption.bytes.length]).toEqual([32, 32]);
  expect(Buffer.compare(first.signing, first.encryption.bytes)).not.toBe(0);
  expect(await loadKeys({ dataDirectory })).toEqual(first);
  const directory = join(dataDirectory, "keys");
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  expect(readdirSync(directory).toSorted()).toEqual(["encryption.key", "signing.key"]);
  for (const name of readdirSync(directory)) expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
});

test("processes that start at once get the same keys and leave no drafts", async () => {
  const program = `
    const { loadKeys } = await import(${JSON.stringify(import.meta.resolve("./keys.ts"))});
    const keys = await loadKeys({ dataDirectory: process.argv[1] });
    process.stdout.write(Buffer.from(keys.signing).toString("hex") + keys.encryption.id);
  `;
  const start = () => promisify(execFile)(process.execPath, ["--input-type=module", "-e", program, dataDirectory]);
  const outputs = await Promise.all(Array.from({ length: 6 }, start));
  expect(new Set(outputs.map(({ stdout }) => stdout)).size).toBe(1);
  expect(outputs[0]?.stdout).toHaveLength(64 + 16);
  expect(readdirSync(join(dataDirectory, "keys"))).toHaveLength(2);
});

test("given keys are used, and nothing is made for them", async () => {
  const jwtSecret = randomBytes(40);
  const encryptionKey = randomBytes(32);
  const keys = await loadKeys({ dataDirectory, jwtSecret, encryptionKey });
  expect(keys).toEqual({ ownsEncryption: false, signing: jwtSecret, encryption: encryptionKeyOf(encryptionKey) });
  expect(readdirSync(dataDirectory)).toEqual([]);
});

test("the encryption key may be in a file", async () => {
  const encryptionKeyFile = join(dataDirectory, "given");
  const bytes = randomBytes(32);
  writeFileSync(encryptionKeyFile, `${bytes.toString("hex")}\n`);
  const keys = await loadKeys({ dataDirectory, jwtSecret: bytes, encryptionKeyFile });
  expect(Buffer.from(keys.encryption.bytes).equals(bytes)).toBe(true);
  writeFileSync(encryptionKeyFile, "short");
  await expect(loadKeys({ dataDirectory, jwtSecret: bytes, encryptionKeyFile })).rejects.toThrow(/32 bytes/);
  const missing = join(dataDirectory, "missing");
  await expect(loadKeys({ dataDirectory, jwtSecret: bytes, encryptionKeyFile: missing })).rejects.toThrow(
    /can't be read/,
  );
});

test("a key that others may read, or that is damaged, stops the start and is left as it is", async () => {
  await loadKeys({ dataDirectory });
  const path = join(dataDirectory, "keys", "encryption.key");
  chmodSync(path, 0o640);
  await expect(loadKeys({ dataDirectory })).rejects.toThrow(/chmod 600/);
  chmodSync(path, 0o600);
  writeFileSync(path, "");
  await expect(loadKeys({ dataDirectory })).rejects.toThrow(/damaged/);
  expect(readFileSync(path, "utf8")).toBe("");
});

test("keys are read from hex and both alphabets of base64, and from nothing else", () => {
  const bytes = Buffer.alloc(32, 0xfb);
  for (const text of [
    bytes.toString("hex"),
    bytes.toString("base64"),
    bytes.toString("base64url"),
    ` ${bytes.toString("hex")}\n`,
  ]) {
    expect(parseKey(text)).toEqual(bytes);
  }
  for (const text of ["", "abc", bytes.toString("hex").slice(2), `${bytes.toString("base64")}A`, "é".repeat(43)]) {
    expect(parseKey(text)).toBeUndefined();
  }
});

test("a key's id tells keys apart and tells nothing of them", () => {
  const key = encryptionKeyOf(Buffer.alloc(32, 1));
  expect(key.id).toMatch(/^[0-9a-f]{16}$/);
  expect(encryptionKeyOf(Buffer.alloc(32, 1)).id).toBe(key.id);
  expect(encryptionKeyOf(Buffer.alloc(32, 2)).id).not.toBe(key.id);
});
