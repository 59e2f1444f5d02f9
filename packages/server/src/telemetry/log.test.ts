import { expect, test } from "vitest";
import { createLog, lateLog, plainLog, quoted, silentLog } from "./log.ts";

function recorder() {
  const lines: string[] = [];
  return { lines, log: createLog("info", { write: (line: string) => void lines.push(line) }) };
}

test("a line is JSON with its level by name and its time in UTC", () => {
  const { lines, log } = recorder();
  log.info({ session: "s" }, "started");
  log.debug("not written");
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? "")).toEqual({
    level: "info",
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    session: "s",
    msg: "started",
  });
});

test.each([
  ["at the top", (secret: string) => ({ password: secret, token: secret, value: secret })],
  ["in headers", (secret: string) => ({ headers: { authorization: secret, cookie: secret } })],
  ["in a request", (secret: string) => ({ req: { headers: { authorization: secret } } })],
  ["in a body", (secret: string) => ({ body: { user: "admin", pass: secret, new_password: secret } })],
  ["in an environment", (secret: string) => ({ claim: { environment: { KEY: secret } } })],
  ["in a child logger's fields", (secret: string) => ({ child: { token: secret } })],
])("secrets %s are not written", (_, fields) => {
  const { lines, log } = recorder();
  log.child(fields("canary")).info(fields("canary"), "request");
  expect(lines.join("")).not.toContain("canary");
  expect(lines.join("")).toContain("[redacted]");
});

test("errors keep their stack and their cause", () => {
  const { lines, log } = recorder();
  log.error({ err: new Error("outer", { cause: new Error("inner") }) }, "failed");
  expect(lines[0]).toMatch(/outer.*inner/);
  expect(lines[0]).toContain("log.test.ts");
});

test("the silent log writes nothing", () => {
  expect(silentLog().isLevelEnabled("fatal")).toBe(false);
});

test("plain and written lines look as all others do, whatever their texts are", () => {
  const { lines, log } = recorder();
  const fields = { path: '/a"\\\n\u2028\ud800', ms: 1.5, principal: null };
  log.info(fields, "request");
  plainLog(log)(fields, "request");
  lateLog(log)(() => `"path":${quoted(fields.path)},"ms":1.5,"principal":null`, "request");
  const [usual, plain, written] = lines.map((line) => line.replace(/"time":"[^"]+"/, ""));
  expect(plain).toBe(usual);
  expect(written).toBe(usual);
});

test("neither is written where the level leaves it out", () => {
  const lines: string[] = [];
  const log = createLog("warn", { write: (line) => void lines.push(line) });
  plainLog(log)({ ms: 1 }, "request");
  lateLog(log)(() => '"ms":1', "request");
  expect(lines).toEqual([]);
});

test("a quoted text is the text's JSON", () => {
  for (const text of ["", "/a b", '"', "\\", "\n", "\u0000", "ä", "\ud800", "a\u2028b", "/x?y=z&w=%22"]) {
    expect(quoted(text)).toBe(JSON.stringify(text));
  }
});
