import { ResolvedManifest } from "@raworc/contract";
import { forgetRemoval } from "./removals.ts";
import type { Reader, Transaction } from "./store.ts";
import { now } from "./time.ts";

export interface StoredArtifact {
  readonly key: string;
  readonly generation: number;
  readonly manifest: ResolvedManifest;
}

export interface NewArtifact extends StoredArtifact {
  /** Key of the first generation of the same. */
  readonly identity: string;
  readonly spaceId: string;
}

/** The newest that was built of an identity and not removed since. Its files may have gone. */
export async function findNewestArtifact(reader: Reader, identity: string): Promise<StoredArtifact | undefined> {
  const row = await reader
    .selectFrom("artifacts")
    .select(["artifact_key", "generation", "manifest"])
    .where("identity", "=", identity)
    .orderBy("generation", "desc")
    .limit(1)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const { artifact_key: key, generation, manifest } = row;
  return { key, generation: generation ?? 0, manifest: ResolvedManifest.parse(JSON.parse(manifest)) };
}

/** Records what was built: from here on it is owned. */
export async function putArtifact(transaction: Transaction, artifact: NewArtifact): Promise<void> {
  const { generation, identity, key, manifest, spaceId } = artifact;
  await deleteArtifact(transaction, key);
  await transaction
    .insertInto("artifacts")
    .values({
      artifact_key: key,
      space_id: spaceId,
      identity,
      generation,
      manifest: JSON.stringify(manifest),
      created_at: now(),
    })
    .execute();
  await forgetRemoval(transaction, { kind: "artifact", name: key });
}

export async function listArtifactKeys(reader: Reader, spaceId: string): Promise<string[]> {
  const rows = await reader.selectFrom("artifacts").select("artifact_key").where("space_id", "=", spaceId).execute();
  return rows.map((row) => row.artifact_key);
}

export async function deleteArtifact(transaction: Transaction, key: string): Promise<void> {
  await transaction.deleteFrom("artifacts").where("artifact_key", "=", key).execute();
}
