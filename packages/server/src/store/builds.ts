import { randomUUIDv7 } from "node:crypto";
import { BuildAgent, type BuildStatus, ResolvedManifest } from "@raworc/contract";
import { z } from "zod";
import { decodeCursor, olderThan, type Page, pageOf } from "./cursors.ts";
import { deciding, locksRows } from "./locks.ts";
import type { BuildRow } from "./rows.ts";
import { runStatement } from "./statement.ts";
import type { Reader, Transaction } from "./store.ts";
import { now } from "./time.ts";

/** An agent of a build with what starting it needs. */
export const BuiltAgent = BuildAgent.extend({
  artifact_key: z.string().nullable(),
  manifest: ResolvedManifest.nullable(),
});
export type BuiltAgent = z.infer<typeof BuiltAgent>;
const BuiltAgents = z.array(BuiltAgent);

export interface StoredBuild extends Omit<BuildRow, "agents" | "force_rebuild" | "cancel_requested"> {
  readonly agents: readonly BuiltAgent[];
  readonly force_rebuild: boolean;
  readonly cancel_requested: boolean;
}

function toBuild(row: BuildRow): StoredBuild {
  return {
    ...row,
    agents: BuiltAgents.parse(JSON.parse(row.agents)),
    force_rebuild: row.force_rebuild === 1,
    cancel_requested: row.cancel_requested === 1,
  };
}

export async function findBuild(reader: Reader, id: string): Promise<StoredBuild | undefined> {
  const row = await reader.selectFrom("builds").selectAll().where("id", "=", id).executeTakeFirst();
  return row === undefined ? undefined : toBuild(row);
}

// Asked for with each session.
const NEWEST = "select * from builds where space_id = ? order by created_at desc, id desc limit 1";
const NEWEST_OF_STATUS = NEWEST.replace("order", "and status = ? order");

/** The newest build of a space, of one status where it is given. */
export async function findNewestBuild(
  reader: Reader,
  spaceId: string,
  status?: BuildStatus,
): Promise<StoredBuild | undefined> {
  const statement = status === undefined ? NEWEST : NEWEST_OF_STATUS;
  const values = status === undefined ? [spaceId] : [spaceId, status];
  const [row] = await runStatement<BuildRow>(reader, statement, values);
  return row === undefined ? undefined : toBuild(row);
}

/** Ids of a space's builds that have an image, newest first. */
export async function listBuildsWithImage(reader: Reader, spaceId: string): Promise<string[]> {
  const rows = await reader
    .selectFrom("builds")
    .select(["id", "created_at"])
    .where("space_id", "=", spaceId)
    // That it isn't null, in words for which every database takes the index.
    .where("image_tag", ">", "")
    .execute();
  const isBefore = (a: (typeof rows)[0], b: (typeof rows)[0]) =>
    a.created_at === b.created_at ? a.id < b.id : a.created_at < b.created_at;
  return rows.toSorted((a, b) => (isBefore(a, b) ? 1 : -1)).map(({ id }) => id);
}

/** Spaces that have more builds with an image than so many. */
export async function listSpacesWithManyImages(reader: Reader, more: number): Promise<string[]> {
  const rows = await reader
    .selectFrom("builds")
    .select("space_id")
    .where("status", "=", "completed")
    .where("image_tag", "is not", null)
    .groupBy("space_id")
    .having((eb) => eb.fn.countAll(), ">", more)
    .execute();
  return rows.map((row) => row.space_id);
}

/** Which of these builds of a space a session has that may still have a computer, or a computer that waits for one. */
export async function listBuildsInUse(
  reader: Reader,
  spaceId: string,
  ids: readonly string[],
): Promise<ReadonlySet<string>> {
  if (ids.length === 0) return new Set();
  const sessions = await reader
    .selectFrom("sessions")
    .select("build_id")
    .distinct()
    .where("desired", "in", ["running", "deleted"])
    .where("build_id", "in", ids)
    .execute();
  const pooled = await reader
    .selectFrom("pool_computers")
    .select("build_id")
    .where("space_id", "=", spaceId)
    .where("build_id", "in", ids)
    .execute();
  return new Set([...sessions, ...pooled].flatMap(({ build_id }) => build_id ?? []));
}

/** Builds as they are, which stay so until the commit. */
export async function lockBuilds(transaction: Transaction, ids: readonly string[]): Promise<StoredBuild[]> {
  if (ids.length === 0) return [];
  const select = transaction.selectFrom("builds").selectAll().where("id", "in", ids);
  return (await deciding(transaction, select).execute()).map(toBuild);
}

/**
 * Whether a build has its image, and keeps it until the commit: whoever makes a session of it in this transaction finds the
 * image there. Several may at once.
 */
export async function holdBuildImage(transaction: Transaction, id: string): Promise<boolean> {
  const select = "select image_tag from builds where id = ?";
  // MariaDB has no other words for it.
  const statement = locksRows(transaction) ? `${select} lock in share mode` : select;
  const [row] = await runStatement<Pick<BuildRow, "image_tag">>(transaction, statement, [id]);
  return row !== undefined && row.image_tag !== null;
}

export interface BuildQuery {
  readonly spaceId: string;
  readonly limit: number;
  readonly cursor?: string | undefined;
  readonly status?: BuildStatus | undefined;
}

export async function listBuilds(reader: Reader, query: BuildQuery): Promise<Page<StoredBuild>> {
  let select = reader.selectFrom("builds").selectAll().where("space_id", "=", query.spaceId);
  if (query.status !== undefined) select = select.where("status", "=", query.status);
  if (query.cursor !== undefined) {
    const cursor = decodeCursor(query.cursor);
    select = select.where((builder) => olderThan(builder, cursor, { createdAt: "created_at", id: "id" }));
  }
  const rows = await select
    .orderBy("created_at", "desc")
    .orderBy("id", "desc")
    .limit(query.limit + 1)
    .execute();
  return pageOf(rows, query.limit, toBuild);
}

/** Spaces that have a build to do, oldest request first. */
export async function listSpacesToBuild(reader: Reader): Promise<string[]> {
  const rows = await reader
    .selectFrom("builds")
    .select("space_id")
    .where("status", "in", ["pending", "building"])
    .groupBy("space_id")
    .orderBy((eb) => eb.fn.min("created_at"))
    .execute();
  return rows.map((row) => row.space_id);
}

export async function insertBuild(
  transaction: Transaction,
  build: { readonly spaceId: string; readonly forceRebuild: boolean; readonly notBefore: string },
): Promise<StoredBuild> {
  const row: BuildRow = {
    id: randomUUIDv7(),
    space_id: build.spaceId,
    status: "pending",
    image_tag: null,
    agents: "[]",
    force_rebuild: build.forceRebuild ? 1 : 0,
    not_before: build.notBefore,
    cancel_requested: 0,
    created_at: now(),
    started_at: null,
    completed_at: null,
    error: null,
  };
  await transaction.insertInto("builds").values(row).execute();
  return toBuild(row);
}

export type BuildChange = Partial<
  Pick<
    StoredBuild,
    | "status"
    | "image_tag"
    | "agents"
    | "force_rebuild"
    | "not_before"
    | "cancel_requested"
    | "started_at"
    | "completed_at"
    | "error"
  >
>;

export async function updateBuild(transaction: Transaction, id: string, change: BuildChange): Promise<StoredBuild> {
  const { agents, force_rebuild, cancel_requested, ...plain } = change;
  await transaction
    .updateTable("builds")
    .set({
      ...plain,
      ...(agents === undefined ? {} : { agents: JSON.stringify(agents) }),
      ...(force_rebuild === undefined ? {} : { force_rebuild: force_rebuild ? 1 : 0 }),
      ...(cancel_requested === undefined ? {} : { cancel_requested: cancel_requested ? 1 : 0 }),
    })
    .where("id", "=", id)
    .execute();
  return toBuild(await transaction.selectFrom("builds").selectAll().where("id", "=", id).executeTakeFirstOrThrow());
}
