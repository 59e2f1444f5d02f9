import { afterEach, beforeEach, expect, it } from "vitest";
import { describeDatabases } from "../../../../test/support/databases.ts";
import { listBuilds } from "../store/builds.ts";
import { ensureDefaultSpace } from "../store/spaces.ts";
import { openStore, type Store } from "../store/store.ts";
import { requestBuild } from "./builds.ts";

describeDatabases("requests to build a space", (databases) => {
  let store: Store;

  beforeEach(async () => {
    store = await openStore(await databases.prepare());
  });
  afterEach(() => store.close());

  it("leave one pending build, however many come at once", async () => {
    const space = await store.write(ensureDefaultSpace);
    const request = { forceRebuild: false, gather: false };
    await Promise.all(
      Array.from({ length: 12 }, () => store.write((transaction) => requestBuild(transaction, space.id, request))),
    );
    const { items } = await listBuilds(store.read, { spaceId: space.id, limit: 100 });
    expect(items.filter(({ status }) => status === "pending")).toHaveLength(1);
    expect(items.filter(({ status }) => status === "cancelled")).toHaveLength(11);
    const ids = new Set(items.map(({ id }) => id));
    for (const { status, error } of items) {
      if (status === "cancelled") expect(ids).toContain(error?.replace("Replaced by the newer build ", ""));
    }
  });
});
