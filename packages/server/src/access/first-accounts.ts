import { BUILT_IN_ROLES } from "../domain/built-in-roles.ts";
import type { Passwords } from "../security/passwords.ts";
import { touchAccess } from "../store/access-version.ts";
import { findAccount, hasAccounts, insertAccount } from "../store/accounts.ts";
import { insertRoleBinding } from "../store/role-bindings.ts";
import { putBuiltInRole } from "../store/roles.ts";
import { ensureDefaultSpace } from "../store/spaces.ts";
import type { Reader, Store } from "../store/store.ts";

/** The password that everybody knows; for use on this machine alone. */
const DEFAULT_PASSWORD = "admin";

const BUILT_IN_ACCOUNTS = [
  { user: "admin", role: "admin", description: "Administers everything" },
  { user: "operator", role: "operator", description: "Runs sessions, builds and secrets" },
] as const;
type BuiltInAccount = (typeof BUILT_IN_ACCOUNTS)[number]["user"];

/** Passwords that the built-in accounts get at the first start; undefined is the default one. */
export type FirstPasswords = Readonly<Record<BuiltInAccount, string | undefined>>;

/**
 * Writes the built-in roles as this version knows them, and at the first start the space and the accounts that are always
 * there. Accounts that were deleted stay so. Several servers may start at once.
 */
export async function seedAccounts(store: Store, passwords: Passwords, first: FirstPasswords): Promise<void> {
  const hashes = new Map<BuiltInAccount, string>();
  if (!(await hasAccounts(store.read))) {
    for (const { user } of BUILT_IN_ACCOUNTS) hashes.set(user, await passwords.hash(first[user] ?? DEFAULT_PASSWORD));
  }
  await store.write(async (transaction) => {
    await touchAccess(transaction);
    for (const role of BUILT_IN_ROLES) await putBuiltInRole(transaction, role);
    await ensureDefaultSpace(transaction);
    if (await hasAccounts(transaction)) return;
    for (const { description, role, user } of BUILT_IN_ACCOUNTS) {
      const passwordHash = hashes.get(user);
      if (passwordHash === undefined) throw new Error("Accounts have vanished while the server started");
      const account = await insertAccount(transaction, { user, passwordHash, description, active: true });
      await insertRoleBinding(transaction, { role, accountId: account.id, spaceId: null });
    }
  });
}

/** Built-in accounts that can be used with the password everybody knows. Takes a slow hash for each. */
export async function listDefaultPasswords(reader: Reader, passwords: Passwords): Promise<string[]> {
  const found: string[] = [];
  for (const { user } of BUILT_IN_ACCOUNTS) {
    const account = await findAccount(reader, user);
    if (account?.active !== true) continue;
    if (await passwords.verify(DEFAULT_PASSWORD, account.password_hash)) found.push(user);
  }
  return found;
}
