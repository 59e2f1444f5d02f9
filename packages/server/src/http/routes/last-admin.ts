import { RaworcError } from "@raworc/contract";
import { countActiveHolders } from "../../store/accounts.ts";
import type { Transaction } from "../../store/store.ts";

const ADMIN = "admin";

/**
 * Throws `last_admin` when without this account, or this binding, nobody could administer any more. To be asked within a
 * change of access: those happen one after the other, so of two admins who remove each other one stays.
 */
export async function requireAnotherAdmin(
  transaction: Transaction,
  without: { readonly accountId: string } | { readonly bindingId: string },
): Promise<void> {
  if ((await countActiveHolders(transaction, ADMIN, without)) > 0) return;
  if ((await countActiveHolders(transaction, ADMIN, {})) === 0) return;
  throw new RaworcError("last_admin", "This is the last active admin; give another account the role admin first.");
}
