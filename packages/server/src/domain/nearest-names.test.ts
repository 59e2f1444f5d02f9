import { describe, expect, it } from "vitest";
import { editDistance, nearestNames } from "./nearest-names.ts";

describe("nearestNames", () => {
  it("finds mistyped and partly written names, the nearest first", () => {
    const branches = ["main", "develop", "feature/login", "release-1.0"];
    expect(nearestNames("mian", [...branches, "min"], 3)).toEqual(["min"]);
    expect(nearestNames("Main", branches, 3)).toEqual(["main"]);
    expect(nearestNames("login", branches, 3)).toEqual(["feature/login"]);
    expect(nearestNames("zebra", branches, 3)).toEqual([]);
  });

  it("counts edits up to the limit", () => {
    expect(editDistance("kitten", "sitting", 5)).toBe(3);
    expect(editDistance("kitten", "sitting", 2)).toBe(3);
    expect(editDistance("", "abc", 9)).toBe(3);
  });
});
