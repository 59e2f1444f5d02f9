import { isRaworcError } from "@raworc/contract";
import { expect, test } from "vitest";
import { Passwords } from "./passwords.ts";

test("a password fits its own hash alone, and each hash has a salt of its own", async () => {
  const passwords = new Passwords();
  const [one, other] = [await passwords.hash("secret"), await passwords.hash("secret")];
  expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  expect(other).not.toBe(one);
  expect(await passwords.verify("secret", one)).toBe(true);
  expect(await passwords.verify("Secret", one)).toBe(false);
  expect(await passwords.verify("", one)).toBe(false);
});

test("a hash made elsewhere with other costs is understood", async () => {
  // Test vector of the reference implementation: argon2id, v=19, t=2, m=256 KiB, p=1, "password", "somesalt".
  const reference = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
  expect(await new Passwords().verify("password", reference)).toBe(true);
  await expect(new Passwords().verify("password", "$2b$10$abc")).rejects.toThrow(/PHC/);
});

test("accents match however they are composed", async () => {
  const passwords = new Passwords();
  expect(await passwords.verify("e\u0301", await passwords.hash("\u00e9"))).toBe(true);
});

test("without an account nothing fits, not even what the empty hash was made of", async () => {
  const passwords = new Passwords();
  for (const password of ["", "admin", "\0"]) expect(await passwords.verify(password, undefined)).toBe(false);
});

test("a flood is refused beyond what may wait, and everybody else gets an answer", async () => {
  const passwords = new Passwords();
  const cheap = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
  const results = await Promise.allSettled(Array.from({ length: 150 }, () => passwords.verify("x", cheap)));
  const refused = results.filter((result) => result.status === "rejected");
  expect(refused).toHaveLength(150 - 102);
  expect(refused.every((result) => isRaworcError(result.reason, "rate_limited"))).toBe(true);
  expect(await passwords.verify("x", cheap)).toBe(false);
});
