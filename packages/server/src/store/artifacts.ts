import { ResolvedManifest } from "@raworc/contract";
import type { Reader, Transaction } from "./store.ts";
import { now } from "./time.ts";

/** What is known of the artifact with this key, if it was ever finished. Its files may have gone since. */
export async function findArtifactManifest(reader: Reader, key: string): Promise<ResolvedManifest | undefined> {
  const row = await reader
    .selectFrom("artifacts")
    .select("manifest")
    .where("artifact_key", "=", key)
    .executeTakeFirst();
  return row === undefined ? undefined : ResolvedManifest.parse(JSON.parse(row.manifest));
}

export async function putArtifact(transaction: Transaction, key: string, manifest: ResolvedManifest): Promise<void> {
  await transaction.deleteFrom("artifacts").where("artifact_key", "=", key).execute();
  await transaction
    .insertInto("artifacts")
    .values({ artifact_key: key, manifest: JSON.stringify(manifest), created_at: now() })
    .execute();
}
