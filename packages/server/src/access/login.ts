import { isRaworcError, type LoginAnswer, RaworcError, USER_PATTERN } from "@raworc/contract";
import type { AuditEntry } from "../audit/audit-entry.ts";
import type { AuditLog } from "../audit/audit-log.ts";
import type { RefusalBudget } from "../audit/refusal-budget.ts";
import type { Passwords } from "../security/passwords.ts";
import { addressGroup } from "../security/source-address.ts";
import type { Tokens } from "../security/tokens.ts";
import { findAccount, type StoredAccount } from "../store/accounts.ts";
import type { Store } from "../store/store.ts";
import type { LoginThrottle } from "./login-throttle.ts";

export interface LoginOptions {
  readonly store: Store;
  readonly audit: AuditLog;
  readonly refusals: RefusalBudget;
  readonly passwords: Passwords;
  readonly throttle: LoginThrottle;
  readonly tokens: Tokens;
}

/** Where a login comes from. */
export interface LoginSource {
  readonly address: string;
  readonly requestId: string;
}

/** Throws `bad_credentials`, the same for whatever is wrong and after the same time, or `rate_limited`. */
export type Login = (user: string, password: string, source: LoginSource) => Promise<LoginAnswer>;

export function createLogin(options: LoginOptions): Login {
  const { audit, passwords, refusals, store, throttle, tokens } = options;

  const entryOf = (user: string, account: StoredAccount | undefined, source: LoginSource): AuditEntry => ({
    principal: account === undefined ? null : { id: account.id, name: account.user },
    action: "login",
    resource: "tokens",
    // What is no name may be a password in the wrong field.
    name: USER_PATTERN.test(user) ? user : null,
    space: null,
    outcome: "allowed",
    requestId: source.requestId,
    address: source.address,
    details: {},
  });

  const tellRefusal = async (entry: AuditEntry, source: LoginSource, error: unknown): Promise<void> => {
    const code = isRaworcError(error) ? error.code : "internal";
    const leftOut = refusals.take(`login ${addressGroup(source.address)}`);
    if (leftOut === undefined) return;
    const details = leftOut === 0 ? { code } : { code, left_out: leftOut };
    await audit.tell({ ...entry, outcome: code === "internal" ? "failed" : "denied", details });
  };

  return async (user, password, source) => {
    // Read before the slow check: a token of this login belongs to the generation of the password that was checked.
    const account = await findAccount(store.read, user);
    const entry = entryOf(user, account, source);
    const hash = account?.active === true ? account.password_hash : undefined;
    try {
      if (!(await throttle.attempt(user, source.address, () => passwords.verify(password, hash)))) {
        throw new RaworcError("bad_credentials", "User or password is wrong, or the account is not active.");
      }
    } catch (error) {
      await tellRefusal(entry, source, error);
      throw error;
    }
    if (account === undefined) throw new Error("A password fits no account");
    const issued = await tokens.issue({ accountId: account.id, generation: account.token_generation });
    await audit.write({ ...entry, details: { token_id: issued.id } });
    return { token: issued.token, token_type: "Bearer", expires_at: issued.expiresAt, user: account.user };
  };
}
