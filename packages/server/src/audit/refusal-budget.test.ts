import { expect, test } from "vitest";
import { RefusalBudget } from "./refusal-budget.ts";

test("thirty a minute of one source are told, and how many were left out comes with the next", () => {
  let now = 1000;
  const budget = new RefusalBudget({ now: () => now });
  const taken = Array.from({ length: 100 }, () => budget.take("10.0.0.1"));
  expect(taken).toEqual([...Array(30).fill(0), ...Array(70).fill(undefined)]);
  expect(budget.take("10.0.0.2")).toBe(0);
  now += 60_000;
  expect(budget.take("10.0.0.1")).toBe(70);
  expect(budget.take("10.0.0.1")).toBe(0);
});

test("many sources together are bounded too", () => {
  const budget = new RefusalBudget({ now: () => 1000 });
  const told = Array.from({ length: 50_000 }, (_, index) => budget.take(`source ${index}`));
  expect(told.filter((leftOut) => leftOut !== undefined)).toHaveLength(600);
});
