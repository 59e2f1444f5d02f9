import { describe, expect, it } from "vitest";
import { addresseeOf, contentForAgent, mentionOf } from "./addressing.ts";

describe("addresseeOf", () => {
  it("takes the named agent first", () => {
    expect(addresseeOf("@poet hello", "clerk", ["poet", "clerk"])).toBe("clerk");
  });

  it("takes a mention of an agent of the build", () => {
    expect(addresseeOf("@poet hello", undefined, ["poet", "clerk"])).toBe("poet");
    expect(addresseeOf("  @poet: hello", undefined, ["poet", "clerk"])).toBe("poet");
  });

  it("reads an unknown mention as plain text", () => {
    expect(addresseeOf("@nobody hello", undefined, ["poet", "clerk"])).toBeUndefined();
    expect(addresseeOf("@nobody hello", undefined, ["poet"])).toBe("poet");
  });

  it("takes the only agent, and none of several", () => {
    expect(addresseeOf("hello", undefined, ["poet"])).toBe("poet");
    expect(addresseeOf("hello", undefined, ["poet", "clerk"])).toBeUndefined();
    expect(addresseeOf("hello", undefined, [])).toBeUndefined();
  });
});

describe("contentForAgent", () => {
  it("takes the mention off before the handler sees the content", () => {
    expect(contentForAgent("@poet write a line", "poet")).toBe("write a line");
    expect(contentForAgent("@poet, write\n a line", "poet")).toBe("write\n a line");
    expect(contentForAgent("@poet", "poet")).toBe("");
  });

  it("leaves other mentions alone", () => {
    expect(contentForAgent("@nobody write", "poet")).toBe("@nobody write");
    expect(contentForAgent("mail me@poet", "poet")).toBe("mail me@poet");
  });
});

describe("mentionOf", () => {
  it("is no name with capitals or signs", () => {
    expect(mentionOf("@Poet hello")).toBeUndefined();
    expect(mentionOf("@a/b")).toBeUndefined();
  });
});
