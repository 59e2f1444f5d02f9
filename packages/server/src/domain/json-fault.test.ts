import { describe, expect, it } from "vitest";
import { findJsonFault } from "./json-fault.ts";

describe("findJsonFault", () => {
  it.each([
    ["", 1, 1, "file ends"],
    ["{", 1, 2, "file ends"],
    ['{"a": 1', 1, 8, "file ends"],
    ['{\n  "a": 1,\n}', 2, 9, "one too many"],
    ["[1, 2,]", 1, 6, "one too many"],
    ['{\n  "a": 1\n  "b": 2\n}', 3, 3, "expected"],
    ['{"a" 1}', 1, 6, ": is expected"],
    ["{'a': 1}", 1, 2, "double quotes"],
    ["{a: 1}", 1, 2, 'not "a"'],
    ['{"a": tru}', 1, 7, "a value"],
    ['{"a": 01}', 1, 8, "expected"],
    ['{\n// note\n"a": 1}', 2, 1, "comments"],
    ['{"a": "open}', 1, 7, "not closed"],
    ['{"a": "line\nend"}', 1, 7, "line end"],
    ['{"a": "\\x"}', 1, 7, "escape"],
    ['{"a": 1} x', 1, 10, "more"],
    ['{"a": NaN}', 1, 7, "a value"],
    ["[".repeat(10_000), 1, 202, "deeply"],
  ])("places the fault of %j", (text, line, column, reason) => {
    const fault = findJsonFault(text);
    expect(fault).toMatchObject({ line, column });
    expect(fault?.reason).toContain(reason);
  });

  it.each(['{"a": [1, -2.5e3, true, null, {"b": "\\u00e4 \u007f"}]}', " 1 ", '""', "[]", "{}"])("passes %j", (text) => {
    expect(() => JSON.parse(text)).not.toThrow();
    expect(findJsonFault(text)).toBeUndefined();
  });
});
