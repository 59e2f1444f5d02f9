import { join } from "node:path";
import type { Logger } from "pino";
import { AuditAnchor } from "../audit/audit-anchor.ts";
import { AuditLog } from "../audit/audit-log.ts";
import { auditedStore } from "../audit/audited-store.ts";
import { RefusalBudget } from "../audit/refusal-budget.ts";
import { endRotation } from "../secrets/key-rotation.ts";
import { openKeyring } from "../secrets/open-keyring.ts";
import type { Keyring } from "../security/keyring.ts";
import type { Keys } from "../security/keys.ts";
import { Passwords } from "../security/passwords.ts";
import { Tokens } from "../security/tokens.ts";
import type { Store } from "../store/store.ts";
import { Authenticator } from "./authenticator.ts";
import { seedAccounts } from "./first-accounts.ts";
import { createLogin, type Login } from "./login.ts";
import { LoginThrottle } from "./login-throttle.ts";

/** Who may do what, what is kept from all others, and what is told of both. */
export interface Identity {
  /** The store with which everything that serves calls works: changes carry their audit events. */
  readonly store: Store;
  readonly audit: AuditLog;
  readonly refusals: RefusalBudget;
  readonly keyring: Keyring;
  readonly access: Authenticator;
  readonly passwords: Passwords;
  readonly throttle: LoginThrottle;
  readonly login: Login;
  /** Writes what is still to be told; the store must be open. Idempotent. */
  close(): Promise<void>;
}

export interface IdentityOptions {
  readonly dataDirectory: string;
  readonly adminPassword?: string | undefined;
  readonly operatorPassword?: string | undefined;
}

/** Where the newest head of the audit is kept outside of the database. */
export function anchorPath(dataDirectory: string): string {
  return join(dataDirectory, "audit.anchor");
}

/** Opens keys and audit, and makes the built-in accounts at the first start. Throws KeyError. */
export async function openIdentity(plain: Store, keys: Keys, options: IdentityOptions, log: Logger): Promise<Identity> {
  const { adminPassword, dataDirectory, operatorPassword } = options;
  const keyring = await openKeyring(plain, keys, dataDirectory);
  const audit = new AuditLog({ store: plain, keyring, log, anchor: new AuditAnchor(anchorPath(dataDirectory)) });
  await audit.begin();
  const rotation = await endRotation({ store: plain, keyring, audit });
  if (rotation !== undefined) log.info({ rotation }, "ended a rotation of the encryption key");
  const store = auditedStore(plain, audit);
  const passwords = new Passwords();
  await seedAccounts(store, passwords, { admin: adminPassword, operator: operatorPassword });
  const tokens = new Tokens({ secret: keys.signing });
  const access = new Authenticator({ store, tokens });
  const refusals = new RefusalBudget();
  const throttle = new LoginThrottle({ store: plain });
  const login = createLogin({ store, audit, refusals, passwords, throttle, tokens });
  return { store, audit, refusals, keyring, access, passwords, throttle, login, close: () => audit.close() };
}
