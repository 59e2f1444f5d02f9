import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DatabaseVersion } from "./database-version.ts";
import { openStore, type Store } from "./store.ts";
import { UnchangedReads } from "./unchanged-reads.ts";

let directory: string;
let path: string;
let version: DatabaseVersion;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "raworc-version-"));
  path = join(directory, "raworc.db");
  version = new DatabaseVersion(await openStore({ kind: "sqlite", path }));
});
afterEach(async () => {
  await version.store.close();
  await rm(directory, { recursive: true });
});

const change = (store: Store, value: string) =>
  store.write((transaction) => transaction.replaceInto("settings").values({ name: "test", value }).execute());

/** Counts how often something is read. */
function counted(size = 1) {
  let reads = 0;
  const kept = new UnchangedReads<{ reads: number }>(version, () => size);
  return (key = "a") => {
    const found = kept.get(key, () => {
      reads += 1;
      return { reads };
    });
    return (found as { reads: number }).reads;
  };
}

test("what has not changed is read once, however many turns later", async () => {
  const read = counted();
  expect([read(), read()]).toEqual([1, 1]);
  await nextTurn();
  expect([read(), read("b"), read("b")]).toEqual([1, 2, 2]);
});

test("whoever waited for a commit reads anew in the same turn", async () => {
  const read = counted();
  read();
  await change(version.store, "1");
  expect(read()).toBe(2);
  await version.store.write(() => Promise.reject(new Error("undone"))).catch(() => undefined);
  expect(read()).toBe(2);
});

test("a commit of another server is seen in the next turn", async () => {
  const other = await openStore({ kind: "sqlite", path });
  try {
    const read = counted();
    read();
    await change(other, "1");
    await nextTurn();
    expect([read(), read()]).toEqual([2, 2]);
  } finally {
    await other.close();
  }
});

test("what is not there and what is too large is not kept", () => {
  const kept = new UnchangedReads<object>(version, () => 1);
  expect(kept.get("a", () => undefined)).toBeUndefined();
  const made = {};
  expect(kept.get("a", () => made)).toBe(made);
  const large = counted(2 ** 30);
  expect([large(), large()]).toEqual([1, 2]);
});

test("what is kept is bounded", () => {
  const read = counted(5 * 2 ** 20);
  expect(["a", "b", "c", "c", "d", "d", "a"].map(read)).toEqual([1, 2, 3, 3, 4, 4, 5]);
});
