import type { Logger } from "pino";
import { DriverError, type RuntimeDriver } from "../runtime/driver.ts";
import { deleteArtifact, listArtifactKeys } from "../store/artifacts.ts";
import {
  listBuilds,
  listBuildsInUse,
  listBuildsWithImage,
  listSpacesWithManyImages,
  lockBuilds,
  updateBuild,
} from "../store/builds.ts";
import {
  forgetRemoval,
  isOwned,
  listRemovals,
  listSpacesWithRemovals,
  putRemovals,
  type Removal,
} from "../store/removals.ts";
import type { Reader, Store, Transaction } from "../store/store.ts";

export interface OldBuildsOptions {
  readonly store: Store;
  readonly driver: RuntimeDriver;
  readonly log: Logger;
  /** Writes what only the server that runs the space's builds may write. */
  readonly record: <T>(spaceId: string, work: (transaction: Transaction) => Promise<T>) => Promise<T>;
}

/** Builds of a space that keep their image for sessions to come, whether one has it or not: the newest, and some to go back to. */
export const KEPT_BUILDS = 5;
/** Builds, of whatever end, whose agents are kept for the next build. */
const CACHED_BUILDS = 10;

/**
 * Removes what was built and nobody needs any more. Records come first: what no record owns is named for removal in the
 * same transaction, removed, and then forgotten, so whoever is cut short leaves a name for the next one.
 */
export class OldBuilds {
  readonly #options: OldBuildsOptions;

  constructor(options: OldBuildsOptions) {
    this.#options = options;
  }

  /** Spaces in which a server that was killed has left something to remove. */
  async spaces(): Promise<Set<string>> {
    const { read } = this.#options.store;
    return new Set([...(await listSpacesWithRemovals(read)), ...(await listSpacesWithManyImages(read, KEPT_BUILDS))]);
  }

  /** Whether there may be something to remove. Cheap: asked whenever a session has gone. */
  async hasWork(spaceId: string): Promise<boolean> {
    const { read } = this.#options.store;
    return (await unneededBuilds(read, spaceId)).length > 0 || (await listRemovals(read, spaceId)).length > 0;
  }

  /** Only while the space's builds rest, and nobody else can begin one. Throws what the driver throws; repeatable. */
  async remove(spaceId: string, signal: AbortSignal): Promise<void> {
    const { record, store } = this.#options;
    await record(spaceId, (transaction) => disown(transaction, spaceId));
    const faults: unknown[] = [];
    for (const removal of await listRemovals(store.read, spaceId)) {
      signal.throwIfAborted();
      try {
        if (!(await isOwned(store.read, removal))) await this.#remove(removal);
        await record(spaceId, (transaction) => forgetRemoval(transaction, removal));
      } catch (error) {
        // One that somebody holds on to keeps none of the others.
        if (!(error instanceof DriverError)) throw error;
        faults.push(error);
      }
    }
    if (faults.length > 0) throw faults[0];
  }

  async #remove({ kind, name }: Removal): Promise<void> {
    const { driver, log } = this.#options;
    await (kind === "build" ? driver.removeBuild(name) : driver.removeArtifact(name));
    log.info({ kind, name }, "removed what was built and nobody needs");
  }
}

async function unneededBuilds(reader: Reader, spaceId: string): Promise<string[]> {
  const older = (await listBuildsWithImage(reader, spaceId)).slice(KEPT_BUILDS);
  const used = await listBuildsInUse(reader, spaceId, older);
  return older.filter((id) => !used.has(id));
}

/** Takes their images from builds that nobody needs, and their records from artifacts that no build has then. */
async function disown(transaction: Transaction, spaceId: string): Promise<void> {
  const older = (await listBuildsWithImage(transaction, spaceId)).slice(KEPT_BUILDS);
  // Locked before it is asked who uses them: a session that is just being made either is seen, or sees that they are gone.
  const locked = await lockBuilds(transaction, older);
  const used = await listBuildsInUse(transaction, spaceId, older);
  const removals: Removal[] = [];
  for (const { id, image_tag } of locked) {
    if (used.has(id) || image_tag === null) continue;
    await updateBuild(transaction, id, { image_tag: null });
    removals.push({ kind: "build", name: image_tag, space_id: spaceId });
  }
  const needed = await neededArtifacts(transaction, spaceId);
  for (const key of await listArtifactKeys(transaction, spaceId)) {
    if (needed.has(key)) continue;
    await deleteArtifact(transaction, key);
    removals.push({ kind: "artifact", name: key, space_id: spaceId });
  }
  await putRemovals(transaction, removals);
}

async function neededArtifacts(transaction: Transaction, spaceId: string): Promise<Set<string>> {
  const { items: recent } = await listBuilds(transaction, { spaceId, limit: CACHED_BUILDS });
  const withImage = await lockBuilds(transaction, await listBuildsWithImage(transaction, spaceId));
  const agents = [...recent, ...withImage].flatMap((build) => build.agents);
  return new Set(agents.flatMap(({ artifact_key }) => artifact_key ?? []));
}
