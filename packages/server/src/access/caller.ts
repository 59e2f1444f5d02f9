import type { Principal } from "../domain/access.ts";

/** The token that a call came with. */
export interface TokenIdentity {
  readonly id: string;
  /** `login`: a JWT that a login gave; `api`: a long-lived token with a record of its own. */
  readonly kind: "login" | "api";
  /** Null: until it is revoked. */
  readonly expiresAt: string | null;
  /** Limits, also cut out of the principal's rights already. */
  readonly spaceId?: string | undefined;
  readonly role?: string | undefined;
}

/** Who calls, and with which token. */
export interface Caller {
  readonly principal: Principal;
  readonly token: TokenIdentity;
}

/**
 * Throws `unauthenticated`, or rejects with it, for every token that is not good now. Whom it knows it gives at once: to wait
 * costs more than to look.
 */
export type Authenticate = (token: string) => Caller | Promise<Caller>;
