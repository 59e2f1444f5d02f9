import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { DiskSync } from "./disk-sync.ts";

test("a fast disk is waited for on the spot, a slow one elsewhere, by many at once", async () => {
  const directory = mkdtempSync(join(tmpdir(), "raworc-sync-"));
  const descriptor = openSync(join(directory, "file"), "w");
  let asked = 0;
  const file = (): number => {
    asked += 1;
    return descriptor;
  };
  try {
    const fast = new DiskSync(Number.POSITIVE_INFINITY);
    expect([fast.sync(file), fast.sync(file)]).toEqual([undefined, undefined]);
    const slow = new DiskSync(-1);
    expect(slow.sync(file)).toBeUndefined();
    asked = 0;
    const syncs = [slow.sync(file), slow.sync(file), slow.sync(file)];
    expect(syncs.every((sync) => sync instanceof Promise)).toBe(true);
    await Promise.all(syncs);
    expect(asked).toBe(2);
    const failing = slow.sync(() => -1);
    const after = slow.sync(file);
    await expect(failing).rejects.toThrow();
    await after;
    await slow.idle();
  } finally {
    closeSync(descriptor);
    rmSync(directory, { recursive: true });
  }
});
