import type { RemovalRow } from "./rows.ts";
import type { Reader, Transaction } from "./store.ts";

/** Something of the runtime that is to go, or will be unless what is being made of it comes to its end. */
export type Removal = Readonly<RemovalRow>;

/** Of a space. Without a record that owns it, whatever is named here is removed. */
export async function listRemovals(reader: Reader, spaceId: string): Promise<Removal[]> {
  return reader.selectFrom("removals").selectAll().where("space_id", "=", spaceId).orderBy("name").execute();
}

export async function listSpacesWithRemovals(reader: Reader): Promise<string[]> {
  const rows = await reader.selectFrom("removals").select("space_id").distinct().execute();
  return rows.map(({ space_id }) => space_id);
}

/** Naming a thing again does nothing. */
export async function putRemovals(transaction: Transaction, removals: readonly Removal[]): Promise<void> {
  for (const removal of removals) {
    await forgetRemoval(transaction, removal);
    await transaction.insertInto("removals").values(removal).execute();
  }
}

/** It is gone, or owned by a record. */
export async function forgetRemoval(
  transaction: Transaction,
  { kind, name }: Omit<Removal, "space_id">,
): Promise<void> {
  await transaction.deleteFrom("removals").where("kind", "=", kind).where("name", "=", name).execute();
}

/** A record has come since it was named: it was made again, or was on its way. */
export async function isOwned(reader: Reader, { kind, name, space_id }: Removal): Promise<boolean> {
  const row =
    kind === "build"
      ? await reader
          .selectFrom("builds")
          .select("id")
          .where("space_id", "=", space_id)
          .where("image_tag", "=", name)
          .executeTakeFirst()
      : await reader.selectFrom("artifacts").select("artifact_key").where("artifact_key", "=", name).executeTakeFirst();
  return row !== undefined;
}
