import { createSecretKey, randomUUIDv7 } from "node:crypto";
import { RaworcError } from "@raworc/contract";
import { errors, jwtVerify, SignJWT } from "jose";

export interface TokenClaims {
  readonly id: string;
  readonly accountId: string;
  /** The account's generation of tokens that it belongs to. */
  readonly generation: number;
  /** Internal id of the space that the token is limited to. */
  readonly spaceId: string | undefined;
  /** RFC 3339 with milliseconds, as are all times here. */
  readonly issuedAt: string;
  readonly expiresAt: string;
}

export interface IssuedToken extends TokenClaims {
  readonly token: string;
}

export interface TokensOptions {
  /** At least 32 bytes. */
  readonly secret: Uint8Array;
  readonly now?: () => number;
}

const ISSUER = "raworc";
const AUDIENCE = "raworc-api";
const ALGORITHM = "HS256";
const LIFETIME_MS = 24 * 60 * 60 * 1000;
/** Tokens whose signature was found good and need not be computed again. */
const KNOWN_MAX = 10_000;

const time = (seconds: number): string => new Date(Math.round(seconds * 1000)).toISOString();

/** Makes and checks login tokens: JWTs signed with HS256. Whether one was revoked is not known here. */
export class Tokens {
  readonly #key: ReturnType<typeof createSecretKey>;
  readonly #now: () => number;
  readonly #known = new Map<string, TokenClaims>();

  constructor(options: TokensOptions) {
    if (options.secret.length < 32) throw new Error("The signing key is shorter than 32 bytes");
    this.#key = createSecretKey(options.secret);
    this.#now = options.now ?? Date.now;
  }

  async issue(subject: {
    readonly accountId: string;
    readonly generation: number;
    readonly spaceId?: string | undefined;
  }): Promise<IssuedToken> {
    const issued = this.#now();
    const claims: TokenClaims = {
      id: randomUUIDv7(),
      accountId: subject.accountId,
      generation: subject.generation,
      spaceId: subject.spaceId,
      issuedAt: new Date(issued).toISOString(),
      expiresAt: new Date(issued + LIFETIME_MS).toISOString(),
    };
    const own = { gen: claims.generation, ...(subject.spaceId === undefined ? {} : { space: subject.spaceId }) };
    const token = await new SignJWT(own)
      .setProtectedHeader({ alg: ALGORITHM, typ: "JWT" })
      .setSubject(subject.accountId)
      .setJti(claims.id)
      .setIssuer(ISSUER)
      .setAudience(AUDIENCE)
      .setIssuedAt(issued / 1000)
      .setExpirationTime((issued + LIFETIME_MS) / 1000)
      .sign(this.#key);
    return { ...claims, token };
  }

  /** Throws `unauthenticated` unless we have signed the token, for us, and it is in its time. */
  async verify(token: string): Promise<TokenClaims> {
    const known = this.#known.get(token);
    if (known !== undefined) {
      if (Date.parse(known.expiresAt) > this.#now()) return known;
      this.#known.delete(token);
    }
    const claims = await this.#read(token);
    if (this.#known.size >= KNOWN_MAX) {
      const [oldest] = this.#known.keys();
      if (oldest !== undefined) this.#known.delete(oldest);
    }
    this.#known.set(token, claims);
    return claims;
  }

  async #read(token: string): Promise<TokenClaims> {
    try {
      const { payload } = await jwtVerify(token, this.#key, {
        algorithms: [ALGORITHM],
        issuer: ISSUER,
        audience: AUDIENCE,
        typ: "JWT",
        requiredClaims: ["sub", "jti", "iat", "exp", "gen"],
        currentDate: new Date(this.#now()),
      });
      const { sub, jti, iat, exp, gen, space } = payload;
      const isWhole = sub !== undefined && jti !== undefined && iat !== undefined && exp !== undefined;
      const fits = typeof gen === "number" && (space === undefined || typeof space === "string");
      if (!isWhole || !fits) throw new errors.JWTInvalid("claims");
      return {
        id: jti,
        accountId: sub,
        generation: gen,
        spaceId: space,
        issuedAt: time(iat),
        expiresAt: time(exp),
      };
    } catch (error) {
      const isLate = error instanceof errors.JWTExpired;
      const detail = isLate ? "The token has expired. Log in again." : "The token is not valid here. Log in again.";
      throw new RaworcError("unauthenticated", detail, { cause: error });
    }
  }
}
