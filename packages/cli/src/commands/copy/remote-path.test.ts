import { expect, test } from "vitest";
import { below, parseRemote } from "./remote-path.ts";

test("a path in a session begins with the session's id", () => {
  const session = "01a20c69-67b0-7c3d-a307-8865efd73d82";
  expect(parseRemote(`${session}:workspace/a:b`)).toEqual({ session, path: "workspace/a:b" });
  expect(parseRemote(`${session}:`)).toEqual({ session, path: "" });
  expect(parseRemote("C:\\file")).toBe(undefined);
  expect(parseRemote("notes/a:b")).toBe(undefined);
});

test("a relative folder stays relative, an absolute one absolute", () => {
  expect([below("", "a"), below("x/", "a"), below("x", "a"), below("/", "a"), below("/tmp", "a")]).toEqual([
    "a",
    "x/a",
    "x/a",
    "/a",
    "/tmp/a",
  ]);
});
