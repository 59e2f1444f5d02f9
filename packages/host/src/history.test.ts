import { HISTORY_MAX_BYTES, HISTORY_MAX_MESSAGES } from "@raworc/contract";
import { expect, test } from "vitest";
import { History } from "./history.ts";

const entry = (seq: number, content = `text ${seq}`) => ({ role: "user", content, seq });
const contents = (texts: readonly { json: string }[]) =>
  texts.map(({ json }) => {
    const { role, content, ...more } = JSON.parse(json);
    expect([role, more]).toEqual(["user", {}]);
    return content;
  });

test("puts what came since behind what is kept, and keeps an empty addition's end", () => {
  const history = new History();
  history.take([entry(1), entry(2)], undefined);
  expect(contents(history.take([entry(4)], 2))).toEqual(["text 1", "text 2", "text 4"]);
  expect(contents(history.take([], 4))).toEqual(["text 1", "text 2", "text 4"]);
  const first = history.take([], 4)[0];
  expect(history.take([entry(5)], 4)[0]).toBe(first);
  expect(contents(history.take([entry(1, "whole")], undefined))).toEqual(["whole"]);
});

test("refuses what comes after an entry that it does not end with, and is unchanged by that", () => {
  const history = new History();
  const refused = expect.objectContaining({ status: 409, code: "conflict", message: "history unknown" });
  expect(() => history.take([entry(2)], 1)).toThrow(refused);
  history.take([entry(1), entry(2)], undefined);
  expect(() => history.take([entry(2)], 1)).toThrow(refused);
  expect(contents(history.take([entry(3)], 2))).toEqual(["text 1", "text 2", "text 3"]);
  history.take([{ role: "user", content: "of no number" }], undefined);
  expect(() => history.take([entry(4)], 3)).toThrow(refused);
});

test("keeps the newest whole entries that fit, as the control plane does", () => {
  const history = new History();
  history.take([entry(0)], undefined);
  for (let seq = 1; seq <= HISTORY_MAX_MESSAGES; seq += 1) history.take([entry(seq)], seq - 1);
  expect(contents(history.take([], HISTORY_MAX_MESSAGES))).toHaveLength(HISTORY_MAX_MESSAGES);
  expect(contents(history.take([], HISTORY_MAX_MESSAGES))[0]).toBe("text 1");

  history.take([entry(1, "before"), entry(2, "é".repeat(HISTORY_MAX_BYTES / 2 - 3))], undefined);
  expect(contents(history.take([entry(3, "abcdef")], 2))).toHaveLength(2);
  expect(contents(history.take([entry(4, "x".repeat(HISTORY_MAX_BYTES + 1))], 3))).toEqual([]);
  expect(contents(history.take([entry(5, "next")], 4))).toEqual(["next"]);
});
