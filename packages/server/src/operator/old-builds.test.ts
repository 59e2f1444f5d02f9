import { setTimeout as sleep } from "node:timers/promises";
import { DEFAULT_LIMITS } from "@raworc/contract";
import { afterEach, beforeEach, expect, it } from "vitest";
import { describeDatabases } from "../../../../test/support/databases.ts";
import type { RuntimeDriver } from "../runtime/driver.ts";
import { findBuild, holdBuildImage, insertBuild, type StoredBuild, updateBuild } from "../store/builds.ts";
import { insertSession } from "../store/sessions.ts";
import { insertSpace } from "../store/spaces.ts";
import { openStore, type Store, type Transaction } from "../store/store.ts";
import { silentLog } from "../telemetry/log.ts";
import { KEPT_BUILDS, OldBuilds } from "./old-builds.ts";

describeDatabases("old builds", (databases) => {
  let store: Store;
  let other: Store;
  let builds: StoredBuild[];
  const removed: string[] = [];

  /** What is removed is noted; a driver is asked for nothing else. */
  const driver = { removeBuild: async (tag: string) => void removed.push(tag) } as Partial<RuntimeDriver>;

  beforeEach(async () => {
    const address = await databases.prepare();
    store = await openStore(address);
    other = await openStore(address);
    removed.length = 0;
    builds = await store.write(async (transaction) => {
      const space = await insertSpace(transaction, { name: "s", description: "", settings: {}, createdBy: "test" });
      const made: StoredBuild[] = [];
      for (let count = 0; count < KEPT_BUILDS + 2; count += 1) {
        const { id } = await insertBuild(transaction, { spaceId: space.id, forceRebuild: false, notBefore: "" });
        const created_at = new Date(Date.UTC(2026, 0, 1) + count).toISOString();
        await transaction.updateTable("builds").set({ created_at }).where("id", "=", id).execute();
        made.push(await updateBuild(transaction, id, { status: "completed", image_tag: `raworc_space_s:${count}` }));
      }
      return made;
    });
  });
  afterEach(async () => {
    await store.close();
    await other.close();
  });

  const oldest = (): StoredBuild => {
    const [build] = builds;
    if (build === undefined) throw new Error("There is a build");
    return build;
  };
  const clear = () => {
    const record = <T>(_: string, work: (transaction: Transaction) => Promise<T>) => other.write(work);
    const oldBuilds = new OldBuilds({ store: other, driver: driver as RuntimeDriver, log: silentLog(), record });
    return oldBuilds.remove(oldest().space_id, new AbortController().signal);
  };

  it("stay for a session that is just being made of one", async () => {
    const holding = Promise.withResolvers<void>();
    const cleared = Promise.withResolvers<void>();
    const making = store.write(async (transaction) => {
      expect(await holdBuildImage(transaction, oldest().id)).toBe(true);
      holding.resolve();
      await insertSession(transaction, {
        spaceId: oldest().space_id,
        name: null,
        createdBy: "test",
        ownerId: "test",
        buildId: oldest().id,
        limits: DEFAULT_LIMITS,
        network: { mode: "open" },
        metadata: {},
      });
      // Long enough for the removal to go wrong, if it does not wait.
      await Promise.race([cleared.promise, sleep(300)]);
    });
    await holding.promise;
    await clear().finally(cleared.resolve);
    await making;
    expect(await findBuild(store.read, oldest().id)).toMatchObject({ image_tag: oldest().image_tag });
    expect(removed).toEqual(["raworc_space_s:1"]);
  });

  it("are gone for a session that comes too late", async () => {
    await clear();
    expect(removed).toEqual(["raworc_space_s:0", "raworc_space_s:1"]);
    expect(await store.write((transaction) => holdBuildImage(transaction, oldest().id))).toBe(false);
  });
});
