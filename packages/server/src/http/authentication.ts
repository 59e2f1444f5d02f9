import { RaworcError } from "@raworc/contract";

const TOKEN_MAX = 8192;
const BEARER = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i;

/** The token of an Authorization header. Throws `unauthenticated` where there is none. */
export function bearerToken(header: string | undefined): string {
  if (header === undefined) {
    throw new RaworcError(
      "unauthenticated",
      "Send a token: Authorization: Bearer <token>. POST /api/v0/auth/login gives one.",
    );
  }
  const token = header.length > TOKEN_MAX ? undefined : BEARER.exec(header)?.[1];
  if (token === undefined) {
    throw new RaworcError("unauthenticated", "The Authorization header is not of the form: Bearer <token>.");
  }
  return token;
}
