import { randomUUIDv7 } from "node:crypto";
import { DEFAULT_SPACE, type Quota, type Space, SpaceSettings } from "@raworc/contract";
import type { Scope } from "../domain/access-scope.ts";
import { deleteArtifact, listArtifactKeys } from "./artifacts.ts";
import { listBuildsWithImage, lockBuilds } from "./builds.ts";
import { decodeCursor, olderThan, type Page, pageOf } from "./cursors.ts";
import { putRemovals } from "./removals.ts";
import type { SpaceRow } from "./rows.ts";
import { withinScope } from "./scopes.ts";
import { runStatement } from "./statement.ts";
import type { Reader, Transaction } from "./store.ts";
import { now } from "./time.ts";

/** A space with the internal id that everything hangs on; its name is a label. */
export interface StoredSpace extends Space {
  readonly id: string;
}

function toSpace(row: SpaceRow): StoredSpace {
  return { ...row, settings: SpaceSettings.parse(JSON.parse(row.settings)), active: row.active === 1 };
}

export async function findSpace(reader: Reader, name: string): Promise<StoredSpace | undefined> {
  const [row] = await runStatement<SpaceRow>(reader, "select * from spaces where name = ?", [name]);
  return row === undefined ? undefined : toSpace(row);
}

export async function getSpaceById(reader: Reader, id: string): Promise<StoredSpace> {
  const row = await reader.selectFrom("spaces").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
  return toSpace(row);
}

export async function findSpaceById(reader: Reader, id: string): Promise<StoredSpace | undefined> {
  const row = await reader.selectFrom("spaces").selectAll().where("id", "=", id).executeTakeFirst();
  return row === undefined ? undefined : toSpace(row);
}

/** Asked for with each message, so nothing but the quota is looked at. */
export async function findQuota(reader: Reader, spaceId: string): Promise<{ name: string; quota: Quota | undefined }> {
  const statement = "select name, settings from spaces where id = ?";
  const [row] = await runStatement<Pick<SpaceRow, "name" | "settings">>(reader, statement, [spaceId]);
  if (row === undefined) return { name: "", quota: undefined };
  return { name: row.name, quota: (JSON.parse(row.settings) as SpaceSettings).quota };
}

export async function listSpaceIds(reader: Reader): Promise<string[]> {
  const rows = await reader.selectFrom("spaces").select("id").execute();
  return rows.map((row) => row.id);
}

export interface SpaceQuery {
  readonly limit: number;
  readonly cursor?: string | undefined;
  readonly scope: Scope;
}

export async function listSpaces(reader: Reader, query: SpaceQuery): Promise<Page<StoredSpace>> {
  let select = reader
    .selectFrom("spaces")
    .selectAll()
    .where((builder) => withinScope(builder, query.scope, { spaceId: "id", name: "name" }));
  if (query.cursor !== undefined) {
    const cursor = decodeCursor(query.cursor);
    select = select.where((builder) => olderThan(builder, cursor, { createdAt: "created_at", id: "id" }));
  }
  const rows = await select
    .orderBy("created_at", "desc")
    .orderBy("id", "desc")
    .limit(query.limit + 1)
    .execute();
  return pageOf(rows, query.limit, toSpace);
}

export interface NewSpace {
  readonly name: string;
  readonly description: string;
  readonly settings: SpaceSettings;
  readonly createdBy: string;
}

export async function insertSpace(transaction: Transaction, space: NewSpace): Promise<StoredSpace> {
  const time = now();
  const row: SpaceRow = {
    id: randomUUIDv7(),
    name: space.name,
    description: space.description,
    settings: JSON.stringify(space.settings),
    active: 1,
    created_at: time,
    updated_at: time,
    created_by: space.createdBy,
  };
  await transaction.insertInto("spaces").values(row).execute();
  return toSpace(row);
}

export interface SpaceChange {
  readonly name?: string | undefined;
  readonly description?: string | undefined;
  readonly settings?: SpaceSettings | undefined;
  readonly active?: boolean | undefined;
}

export async function updateSpace(transaction: Transaction, id: string, change: SpaceChange): Promise<StoredSpace> {
  await transaction
    .updateTable("spaces")
    .set({
      updated_at: now(),
      ...(change.name === undefined ? {} : { name: change.name }),
      ...(change.description === undefined ? {} : { description: change.description }),
      ...(change.settings === undefined ? {} : { settings: JSON.stringify(change.settings) }),
      ...(change.active === undefined ? {} : { active: change.active ? 1 : 0 }),
    })
    .where("id", "=", id)
    .execute();
  return getSpaceById(transaction, id);
}

/**
 * Removes a space with all its records. Its sessions must be deleted before, so that nothing real is left behind; what was
 * built for it is named for removal.
 */
export async function deleteSpace(transaction: Transaction, id: string): Promise<void> {
  await disownBuilt(transaction, id);
  const sessions = transaction.selectFrom("sessions").select("id").where("space_id", "=", id);
  await transaction.deleteFrom("events").where("session_id", "in", sessions).execute();
  await transaction.deleteFrom("messages").where("session_id", "in", sessions).execute();
  await transaction.deleteFrom("sessions").where("space_id", "=", id).execute();
  await transaction.deleteFrom("message_times").where("space_id", "=", id).execute();
  await transaction.deleteFrom("spaces").where("id", "=", id).execute();
}

async function disownBuilt(transaction: Transaction, spaceId: string): Promise<void> {
  const keys = await listArtifactKeys(transaction, spaceId);
  const builds = await lockBuilds(transaction, await listBuildsWithImage(transaction, spaceId));
  const tags = builds.flatMap(({ image_tag }) => image_tag ?? []);
  await putRemovals(transaction, [
    ...tags.map((name) => ({ kind: "build" as const, name, space_id: spaceId })),
    ...keys.map((name) => ({ kind: "artifact" as const, name, space_id: spaceId })),
  ]);
  for (const key of keys) await deleteArtifact(transaction, key);
}

export async function ensureDefaultSpace(transaction: Transaction): Promise<StoredSpace> {
  const space = await findSpace(transaction, DEFAULT_SPACE);
  return space ?? insertSpace(transaction, { name: DEFAULT_SPACE, description: "", settings: {}, createdBy: "system" });
}

/** Names by id. */
export async function listSpaceNames(reader: Reader, ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const rows = await reader
    .selectFrom("spaces")
    .select(["id", "name"])
    .where("id", "in", ["", ...ids])
    .execute();
  return new Map(rows.map(({ id, name }) => [id, name]));
}
