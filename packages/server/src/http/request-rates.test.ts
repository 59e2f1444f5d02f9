import { expect, test } from "vitest";
import { RequestRates } from "./request-rates.ts";

test("each principal has his own number a minute, and gets it back with time", () => {
  let now = 0;
  const rates = new RequestRates(60, () => now);
  const taken = (id: string) => {
    try {
      rates.take(id);
      return true;
    } catch (error) {
      expect(error).toMatchObject({ code: "rate_limited", retryAfterSeconds: 1 });
      return false;
    }
  };
  expect(Array.from({ length: 61 }, () => taken("me"))).toEqual([...Array(60).fill(true), false]);
  expect(taken("you")).toBe(true);
  now += 1000;
  expect([taken("me"), taken("me")]).toEqual([true, false]);
  now += 3_600_000;
  expect(Array.from({ length: 61 }, () => taken("me")).filter(Boolean)).toHaveLength(60);
});

test("a low limit says how long to wait", () => {
  const rates = new RequestRates(2, () => 0);
  rates.take("me");
  rates.take("me");
  expect(() => rates.take("me")).toThrow(expect.objectContaining({ retryAfterSeconds: 30 }));
});

test("principals that are gone leave nothing behind", () => {
  let now = 0;
  const rates = new RequestRates(600, () => now);
  for (let count = 0; count < 50_000; count += 1) {
    now += 200;
    rates.take(`principal ${count}`);
  }
  expect(rates.size).toBeLessThanOrEqual(10_000);
});
