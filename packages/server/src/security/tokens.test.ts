import { generateKeyPairSync, randomBytes } from "node:crypto";
import { SignJWT, UnsecuredJWT } from "jose";
import { expect, test } from "vitest";
import { Tokens } from "./tokens.ts";

const SECRET = randomBytes(32);
const START = Date.parse("2026-01-01T00:00:00.123Z");
const HOURS = 60 * 60 * 1000;

/** A token like ours, but for what is changed. */
async function forge(
  change: { header?: object; claims?: object; drop?: string; secret?: Uint8Array } = {},
): Promise<string> {
  const claims: Record<string, unknown> = {
    sub: "account",
    jti: "token",
    gen: 3,
    iss: "raworc",
    aud: "raworc-api",
    iat: START / 1000,
    exp: START / 1000 + 60,
    ...change.claims,
  };
  delete claims[change.drop ?? ""];
  return new SignJWT(claims)
    .setProtectedHeader({ alg: "HS256", typ: "JWT", ...change.header })
    .sign(change.secret ?? SECRET);
}

const tokens = (now = START) => new Tokens({ secret: SECRET, now: () => now });

test("an issued token tells who, until when, and for which space", async () => {
  const issued = await tokens().issue({ accountId: "account", generation: 3, spaceId: "space" });
  expect(issued.expiresAt).toBe("2026-01-02T00:00:00.123Z");
  expect(await tokens().verify(issued.token)).toEqual({
    id: issued.id,
    accountId: "account",
    generation: 3,
    spaceId: "space",
    issuedAt: "2026-01-01T00:00:00.123Z",
    expiresAt: "2026-01-02T00:00:00.123Z",
  });
  const other = await tokens().issue({ accountId: "account", generation: 0 });
  expect(other.id).not.toBe(issued.id);
  expect((await tokens().verify(other.token)).spaceId).toBeUndefined();
});

test("a forged token that differs in nothing is good, so that the refusals below mean something", async () => {
  expect(await tokens().verify(await forge())).toMatchObject({ id: "token", accountId: "account" });
});

test.each([
  ["another issuer", { claims: { iss: "other" } }],
  ["another audience", { claims: { aud: "other" } }],
  ["no subject", { drop: "sub" }],
  ["no id", { drop: "jti" }],
  ["no time of issue", { drop: "iat" }],
  ["no end", { drop: "exp" }],
  ["an end that has passed", { claims: { exp: START / 1000 - 1 } }],
  ["a beginning that is to come", { claims: { nbf: START / 1000 + 10 } }],
  ["another key", { secret: randomBytes(32) }],
  ["another algorithm of the same family", { header: { alg: "HS512" }, secret: Buffer.concat([SECRET, SECRET]) }],
  ["another type", { header: { typ: "other" } }],
  ["a space that is no text", { claims: { space: 1 } }],
  ["no generation", { drop: "gen" }],
  ["a generation that is no number", { claims: { gen: "3" } }],
])("a token with %s is refused", async (_, change) => {
  await expect(tokens().verify(await forge(change))).rejects.toMatchObject({ code: "unauthenticated" });
});

test("tokens without a signature, of a key pair, cut or no tokens at all are refused", async () => {
  const claims = { sub: "a", jti: "t" };
  const unsigned = new UnsecuredJWT(claims).setIssuer("raworc").setAudience("raworc-api").setIssuedAt().encode();
  const { privateKey } = generateKeyPairSync("ed25519");
  const asymmetric = await new SignJWT(claims).setProtectedHeader({ alg: "EdDSA" }).sign(privateKey);
  const good = await forge();
  for (const token of [unsigned, asymmetric, good.slice(0, -2), `${good}x`, "", "a.b.c", "💥", ".."]) {
    await expect(tokens().verify(token)).rejects.toMatchObject({ code: "unauthenticated" });
  }
});

test("a token ends in its time, also one that was seen before", async () => {
  let now = START;
  const steered = new Tokens({ secret: SECRET, now: () => now });
  const { token } = await steered.issue({ accountId: "account", generation: 0 });
  await steered.verify(token);
  now = START + 24 * HOURS - 1000;
  await steered.verify(token);
  now = START + 24 * HOURS + 1000;
  await expect(steered.verify(token)).rejects.toThrow(/expired/);
});

test("a short signing key is refused", () => {
  expect(() => new Tokens({ secret: randomBytes(31) })).toThrow(/32 bytes/);
});
