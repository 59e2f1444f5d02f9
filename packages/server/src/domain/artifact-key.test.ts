import { describe, expect, it } from "vitest";
import { artifactKey } from "./artifact-key.ts";

const identity = { spaceId: "space-1", commit: "a".repeat(40), folder: null, toolchain: "image-1", generation: 0 };

describe("artifactKey", () => {
  it("is the same for the same identity, however the folder is written", () => {
    const key = artifactKey({ ...identity, folder: "agents/one" });
    expect(artifactKey({ ...identity, folder: "./agents//one/" })).toBe(key);
    expect(artifactKey({ ...identity, commit: "A".repeat(40), folder: "agents/one" })).toBe(key);
    expect(artifactKey({ ...identity, folder: "." })).toBe(artifactKey(identity));
  });

  it("differs with the space, commit, folder, toolchain and generation, and takes no part for another", () => {
    const keys = [
      artifactKey(identity),
      artifactKey({ ...identity, commit: "b".repeat(40) }),
      artifactKey({ ...identity, folder: "one" }),
      artifactKey({ ...identity, folder: "image-1", toolchain: "one" }),
      artifactKey({ ...identity, toolchain: "image-2" }),
      artifactKey({ ...identity, generation: 1 }),
      artifactKey({ ...identity, spaceId: "space-2" }),
    ];
    expect(new Set(keys).size).toBe(keys.length);
  });

  it("is a safe name of a folder", () => {
    expect(artifactKey({ ...identity, folder: "a/../b", toolchain: "../x" })).toMatch(/^[0-9a-f]{64}$/);
  });
});
