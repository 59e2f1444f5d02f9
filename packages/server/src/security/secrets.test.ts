import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { encryptionKeyOf } from "./keys.ts";
import { SecretBox, SecretError } from "./secrets.ts";

const PLACE = { spaceId: "space-1", keyName: "API_KEY" };
const newKey = () => encryptionKeyOf(randomBytes(32));

test.each(["", "canary", "ünïcode 💥\n\0", "x".repeat(64 * 1024)])("a value comes back as it was", (value) => {
  const box = new SecretBox(newKey());
  expect(box.open(box.seal(value, PLACE), PLACE)).toBe(value);
});

test("the same value is sealed differently each time, and is not in what is stored", () => {
  const box = new SecretBox(newKey());
  const [one, other] = [box.seal("canary", PLACE), box.seal("canary", PLACE)];
  expect(one.sealed).not.toBe(other.sealed);
  expect(Buffer.from(one.sealed, "base64").includes("canary")).toBe(false);
  expect(one.keyId).toBe(box.keyId);
});

test("a sealed value opens in no other space and under no other name", () => {
  const box = new SecretBox(newKey());
  const sealed = box.seal("canary", PLACE);
  expect(() => box.open(sealed, { ...PLACE, spaceId: "space-2" })).toThrow(SecretError);
  expect(() => box.open(sealed, { ...PLACE, keyName: "OTHER" })).toThrow(SecretError);
});

test("any changed byte, and any cut, is noticed", () => {
  const box = new SecretBox(newKey());
  const { keyId, sealed } = box.seal("canary", PLACE);
  const bytes = Buffer.from(sealed, "base64");
  for (let index = 0; index < bytes.length; index += 1) {
    const changed = Buffer.from(bytes);
    changed.writeUInt8((bytes.readUInt8(index) + 1) % 256, index);
    expect(() => box.open({ keyId, sealed: changed.toString("base64") }, PLACE)).toThrow(SecretError);
    const cut = bytes.subarray(0, index).toString("base64");
    expect(() => box.open({ keyId, sealed: cut }, PLACE)).toThrow(SecretError);
  }
});

test("an older key opens what it has sealed; without it the error names the key, not the value", () => {
  const [older, newer] = [newKey(), newKey()];
  const sealed = new SecretBox(older).seal("canary", PLACE);
  const rotated = new SecretBox(newer, [older]);
  expect(rotated.open(sealed, PLACE)).toBe("canary");
  expect(rotated.seal("canary", PLACE).keyId).toBe(newer.id);
  expect(() => new SecretBox(newer).open(sealed, PLACE)).toThrow(older.id);
  expect(() => rotated.open({ ...sealed, keyId: newer.id }, PLACE)).toThrow(SecretError);
});
