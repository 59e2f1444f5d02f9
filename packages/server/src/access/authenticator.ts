import { RaworcError } from "@raworc/contract";
import type { Principal, TokenLimits } from "../domain/access.ts";
import { limitPrincipal } from "../domain/access-scope.ts";
import { hashApiToken, isApiToken } from "../security/api-tokens.ts";
import type { Tokens } from "../security/tokens.ts";
import { readAccessVersion, touchAccess } from "../store/access-version.ts";
import { findAccountById, type StoredAccount } from "../store/accounts.ts";
import { isRevoked } from "../store/revoked-tokens.ts";
import { listAccountBindings } from "../store/role-bindings.ts";
import { findRole } from "../store/roles.ts";
import type { Store, Transaction } from "../store/store.ts";
import { findApiTokenByHash } from "../store/tokens.ts";
import type { Caller, TokenIdentity } from "./caller.ts";

export interface AuthenticatorOptions {
  readonly store: Store;
  readonly tokens: Tokens;
  /** Milliseconds. */
  readonly now?: () => number;
}

interface Known {
  readonly caller: Caller;
  readonly expiresAt: number;
}

/** What a long call asks to be told. */
interface Watch {
  readonly token: string;
  /** Whether the call may go on with the rights that its caller has now. */
  readonly mayGoOn: (principal: Principal) => boolean;
  readonly end: (reason: RaworcError) => void;
}

/** Milliseconds after which a change that another server has made is looked for, by the next request. */
const VERSION_AGE = 250;
const KNOWN_MAX = 10_000;
const TIMER_MAX = 2 ** 31 - 1;

/**
 * Knows who calls by a token. What was read is kept until access changes: here at once, by another server within the age
 * above. Calls that last are watched, and end when their token or their right does.
 */
export class Authenticator {
  readonly #store: Store;
  readonly #tokens: Tokens;
  readonly #now: () => number;
  readonly #known = new Map<string, Known>();
  readonly #tokenOf = new WeakMap<Caller, string>();
  readonly #watches = new Set<Watch>();
  /** Grows with each change: what was read before it is not kept after it. */
  #epoch = 0;
  #version: string | undefined;
  #versionAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;
  #tell: (() => void) | undefined;
  #telling = false;

  constructor(options: AuthenticatorOptions) {
    this.#store = options.store;
    this.#tokens = options.tokens;
    this.#now = options.now ?? Date.now;
  }

  /** Gives whom it knows at once. Rejects with `unauthenticated` for every token that is not good now. */
  authenticate(token: string): Caller | Promise<Caller> {
    const now = this.#now();
    if (now - this.#versionAt >= VERSION_AGE) return this.#authenticateAnew(token);
    return this.#knownCaller(token, now) ?? this.#readCaller(token);
  }

  async #authenticateAnew(token: string): Promise<Caller> {
    this.#looking ??= this.#lookForChanges();
    await this.#looking;
    return this.#knownCaller(token, this.#now()) ?? this.#readCaller(token);
  }

  #knownCaller(token: string, now: number): Caller | undefined {
    const known = this.#known.get(token);
    return known !== undefined && known.expiresAt > now ? known.caller : undefined;
  }

  async #readCaller(token: string): Promise<Caller> {
    const epoch = this.#epoch;
    const caller = await this.#read(token);
    this.#tokenOf.set(caller, token);
    if (epoch === this.#epoch) this.#keep(token, caller);
    return caller;
  }

  /** Changes accounts, roles, bindings or tokens. When it resolves, the change holds for every call here. */
  async change<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    const result = await this.#store.write(async (transaction) => {
      await touchAccess(transaction);
      return work(transaction);
    });
    await this.changed();
    this.#telling = true;
    try {
      this.#tell?.();
    } finally {
      this.#telling = false;
    }
    return result;
  }

  /** Sets how other servers are told that access has changed. */
  tellOthers(tell: () => void): void {
    this.#tell = tell;
  }

  /** Somebody has been told that access has changed; when that was another server, it is looked at here. */
  heard(): void {
    if (!this.#telling) void this.changed();
  }

  /** Access has changed, here or on another server: nothing that was read before counts, and long calls are looked at. */
  async changed(): Promise<void> {
    this.#epoch += 1;
    this.#known.clear();
    const byToken = Map.groupBy(this.#watches, (watch) => watch.token);
    await Promise.all([...byToken].map(([token, watches]) => this.#look(token, watches)));
  }

  /**
   * Ends a long call when its caller may no longer make it: the token was revoked or has expired, the account is gone or
   * inactive, the right was taken away. Gives back how to stop watching.
   */
  watch(caller: Caller, mayGoOn: Watch["mayGoOn"], end: Watch["end"]): () => void {
    const token = this.#tokenOf.get(caller);
    if (token === undefined) throw new Error("A caller of another authenticator");
    const watch: Watch = { token, mayGoOn, end };
    this.#watches.add(watch);
    const timer = this.#atExpiry(caller.token.expiresAt, () => void this.#look(token, [watch]));
    // What changed between the caller's token was read and now is not missed.
    if (this.#known.get(token)?.caller !== caller) void this.#look(token, [watch]);
    return () => {
      this.#watches.delete(watch);
      clearTimeout(timer);
    };
  }

  #atExpiry(expiresAt: string | null, look: () => void): NodeJS.Timeout | undefined {
    if (expiresAt === null) return undefined;
    const wait = Date.parse(expiresAt) - this.#now();
    return setTimeout(look, Math.min(Math.max(wait, 0), TIMER_MAX)).unref();
  }

  async #look(token: string, watches: readonly Watch[]): Promise<void> {
    let principal: Principal | undefined;
    let refusal: RaworcError | undefined;
    try {
      ({ principal } = await this.authenticate(token));
    } catch (error) {
      // Also when nobody can be asked: what can't be checked doesn't go on.
      const unknown = () =>
        new RaworcError("not_ready", "The token can't be checked now. Try again.", { cause: error });
      refusal = error instanceof RaworcError ? error : unknown();
    }
    for (const watch of watches) {
      if (!this.#watches.has(watch)) continue;
      if (refusal !== undefined) watch.end(refusal);
      else if (principal !== undefined && !watch.mayGoOn(principal)) {
        watch.end(new RaworcError("forbidden", "The right to this was taken away."));
      }
    }
  }

  async #lookForChanges(): Promise<void> {
    try {
      const version = await readAccessVersion(this.#store.read);
      this.#versionAt = this.#now();
      if (version === this.#version) return;
      const isFirst = this.#version === undefined;
      this.#version = version;
      if (!isFirst) void this.changed();
    } finally {
      this.#looking = undefined;
    }
  }

  #keep(token: string, caller: Caller): void {
    if (this.#known.size >= KNOWN_MAX) {
      const [oldest] = this.#known.keys();
      if (oldest !== undefined) this.#known.delete(oldest);
    }
    const { expiresAt } = caller.token;
    this.#known.set(token, {
      caller,
      expiresAt: expiresAt === null ? Number.POSITIVE_INFINITY : Date.parse(expiresAt),
    });
  }

  #read(token: string): Promise<Caller> {
    return isApiToken(token) ? this.#readApiToken(token) : this.#readLogin(token);
  }

  async #readLogin(text: string): Promise<Caller> {
    const claims = await this.#tokens.verify(text);
    const { read } = this.#store;
    const account = await findAccountById(read, claims.accountId);
    const ended = account?.token_generation !== claims.generation || (await isRevoked(read, claims.id));
    if (account?.active !== true || ended) throw noLongerGood();
    const token: TokenIdentity = { id: claims.id, kind: "login", expiresAt: claims.expiresAt, spaceId: claims.spaceId };
    return { principal: await this.#principal(account, token), token };
  }

  async #readApiToken(text: string): Promise<Caller> {
    const { read } = this.#store;
    const row = await findApiTokenByHash(read, hashApiToken(text));
    const account = row === undefined ? undefined : await findAccountById(read, row.account_id);
    if (row === undefined || account?.active !== true) throw noLongerGood();
    if (row.expires_at !== null && Date.parse(row.expires_at) <= this.#now()) {
      throw new RaworcError("unauthenticated", "The token has expired. Make another one.");
    }
    const token: TokenIdentity = {
      id: row.id,
      kind: "api",
      expiresAt: row.expires_at,
      spaceId: row.space_id ?? undefined,
      role: row.role_name ?? undefined,
    };
    return { principal: await this.#principal(account, token), token };
  }

  async #principal(account: StoredAccount, token: TokenIdentity): Promise<Principal> {
    const { read } = this.#store;
    const bindings = await listAccountBindings(read, account.id);
    const principal: Principal = { id: account.id, name: account.user, bindings };
    if (token.spaceId === undefined && token.role === undefined) return principal;
    const rules = token.role === undefined ? undefined : ((await findRole(read, token.role))?.rules ?? []);
    const limits: TokenLimits = { spaceId: token.spaceId, rules };
    return limitPrincipal(principal, limits);
  }
}

function noLongerGood(): RaworcError {
  return new RaworcError("unauthenticated", "The token is no longer good. Log in again, or make another one.");
}
