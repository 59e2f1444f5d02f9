import { expect, test } from "vitest";
import { formatDuration, formatSpan } from "./durations.ts";
import { formatFields, formatTable } from "./table.ts";

const row = (...texts: string[]) => texts.map((text) => ({ text }));

test("columns lie under each other, whatever their alphabet", () => {
  const lines = formatTable([row("poet", "1", "a"), row("詩人", "20", "bcd")], {
    header: ["NAME", "N", "X"],
    right: new Set([1]),
  });
  expect(lines).toEqual(["NAME   N  X", "poet   1  a", "詩人  20  bcd"]);
});

test("colour takes no room, and wide cells are cut", () => {
  const paint = (text: string): string => `<${text}>`;
  expect(formatTable([[{ text: "abcdef", paint }, { text: "x" }], row("b", "y")], { widest: 4 })).toEqual([
    "<abc…>  x",
    "b     y",
  ]);
});

test("fields keep more lines of a value under its first", () => {
  expect(
    formatFields([
      ["A", "1"],
      ["Long", "2\n3"],
    ]),
  ).toEqual(["A     1", "Long  2\n      3"]);
});

test.each([
  [0, "0s"],
  [59_999, "59s"],
  [60_000, "1m"],
  [150_000, "2m30s"],
  [15 * 60_000 + 5000, "15m"],
  [90 * 60_000, "1h30m"],
  [3 * 86_400_000 + 7_200_000, "3d2h"],
  [-5, "0s"],
])("%i ms ago is %s", (milliseconds, text) => expect(formatSpan(milliseconds)).toBe(text));

test.each([
  [85.4, "85 ms"],
  [1440, "1.4 s"],
  [130_000, "2m10s"],
])("what took %f ms took %s", (milliseconds, text) => expect(formatDuration(milliseconds)).toBe(text));
