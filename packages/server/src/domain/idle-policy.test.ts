import { expect, test } from "vitest";
import { nextRest } from "./idle-policy.ts";

const policy = { freeze_after_s: 10, stop_after_s: 60, delete_after_s: 3600 };

test("rests come one after the other, counted from the last use", () => {
  expect(nextRest(policy, "active", 5000)).toEqual({ to: "frozen", at: 15_000 });
  expect(nextRest(policy, "frozen", 5000)).toEqual({ to: "stopped", at: 65_000 });
  expect(nextRest(policy, "stopped", 5000)).toEqual({ to: "deleted", at: 3_605_000 });
});

test("null and a missing policy are never", () => {
  expect(nextRest({ freeze_after_s: null }, "active", 0)).toBeUndefined();
  expect(nextRest(undefined, "active", 0)).toBeUndefined();
  expect(nextRest({ ...policy, freeze_after_s: null }, "active", 0)).toEqual({ to: "stopped", at: 60_000 });
});

test("the name of 0.2 counts, the deepest of equals wins, and a later freeze is left out", () => {
  expect(nextRest({ pause_after_s: 7 }, "active", 0)).toEqual({ to: "stopped", at: 7000 });
  expect(nextRest({ freeze_after_s: 5, stop_after_s: 5 }, "active", 0)).toEqual({ to: "stopped", at: 5000 });
  expect(nextRest({ freeze_after_s: 90, stop_after_s: 60 }, "stopped", 0)).toBeUndefined();
});
