import { hash, randomBytes } from "node:crypto";

const PREFIX = "raworc_";
const SHAPE = /^raworc_[A-Za-z0-9_-]{43}$/;

/** A new API token: 32 random bytes, with a beginning by which scanners of leaked secrets know it. */
export function makeApiToken(): string {
  return `${PREFIX}${randomBytes(32).toString("base64url")}`;
}

export function isApiToken(text: string): boolean {
  return SHAPE.test(text);
}

/** What is stored of a token. It is as random as a key, so a fast hash hides it well enough. */
export function hashApiToken(token: string): string {
  return hash("sha256", token, "hex");
}
