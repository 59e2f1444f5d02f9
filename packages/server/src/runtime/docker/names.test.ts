import { describe, expect, it } from "vitest";
import { Names } from "./names.ts";

const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;

describe("Names", () => {
  const names = new Names("01a20c65-1b19-7b56-8cf9-125aa773a1dc");

  it("gives images of builds names that engines take, whatever the space is called", () => {
    for (const space of ["default", "a_b", "a__b", "a___b", "a-_b", "a_-b", "a----b", "0"]) {
      const [repository = "", tag] = names.build(space, "build").split(":");
      expect(repository).toMatch(REPOSITORY);
      expect(tag).toBe("build");
    }
    expect(names.build("my_team", "b")).toBe("raworc_space_my_team:b");
  });

  it("keeps installations apart", () => {
    const other = new Names("01a20c65-1b19-7b56-8cf9-125aa773a1dd");
    expect(other.bridge).not.toBe(names.bridge);
    expect(names.bridge.length).toBeLessThanOrEqual(15);
    expect(names.wire(0xffff).length).toBeLessThanOrEqual(15);
    expect([names.wire(1), names.bridge, other.wire(1)].map((device) => names.isWire(device))).toEqual([
      true,
      false,
      false,
    ]);
    expect(names.owns(names.labels({}))).toBe(true);
    expect(names.owns(other.labels({}))).toBe(false);
    expect(names.owns(null)).toBe(false);
    expect(names.computerOf(other.labels({ "raworc.session": "x" }))).toBeUndefined();
    expect(names.computerOf(names.labels({ "raworc.builder": "x" }))).toEqual({ id: "x", kind: "builder" });
  });
});
