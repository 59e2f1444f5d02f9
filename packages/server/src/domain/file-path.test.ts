import { expect, test } from "vitest";
import { resolveFilePath } from "./file-path.ts";

const resolve = (text: string) => resolveFilePath(text, "path");

test("paths are relative to /session, or absolute, and free of what could climb out later", () => {
  expect(resolve("workspace/a b")).toEqual({ path: "/session/workspace/a b", inSession: true });
  expect(resolve("")).toEqual({ path: "/session", inSession: true });
  expect(resolve("workspace//x/./y/")).toEqual({ path: "/session/workspace/x/y", inSession: true });
  expect(resolve("/session/x")).toEqual({ path: "/session/x", inSession: true });
  expect(resolve("//etc/passwd")).toEqual({ path: "/etc/passwd", inSession: false });
  expect(resolve("a/../../etc/passwd")).toEqual({ path: "/etc/passwd", inSession: false });
  expect(resolve("../../../..")).toEqual({ path: "/", inSession: false });
  expect(resolve("../sessions/x")).toEqual({ path: "/sessions/x", inSession: false });
});

test("what can be no path is refused", () => {
  expect(() => resolve("a\0b")).toThrow("NUL");
  expect(() => resolve("é".repeat(2048))).toThrow("longer");
});
