import type { Reader, Transaction } from "./store.ts";
import { now } from "./time.ts";

/** Remembers a token as revoked until it would have ended anyway. Repeatable. */
export async function revokeToken(transaction: Transaction, tokenId: string, expiresAt: string): Promise<void> {
  await transaction.deleteFrom("revoked_tokens").where("expires_at", "<", now()).execute();
  if (await isRevoked(transaction, tokenId)) return;
  await transaction.insertInto("revoked_tokens").values({ token_id: tokenId, expires_at: expiresAt }).execute();
}

export async function isRevoked(reader: Reader, tokenId: string): Promise<boolean> {
  const row = await reader
    .selectFrom("revoked_tokens")
    .select("token_id")
    .where("token_id", "=", tokenId)
    .executeTakeFirst();
  return row !== undefined;
}
