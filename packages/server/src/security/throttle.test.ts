import { isRaworcError } from "@raworc/contract";
import { describe, expect, test } from "vitest";
import { addressGroup } from "./source-address.ts";
import { LoginThrottle } from "./throttle.ts";

const MINUTE = 60_000;
const wrong = async () => false;
const right = async () => true;

function steered(entriesMax?: number) {
  const clock = { now: 1_000_000 };
  const options = { now: () => clock.now, ...(entriesMax === undefined ? {} : { entriesMax }) };
  return { clock, throttle: new LoginThrottle(options) };
}

async function refusal(run: Promise<boolean>): Promise<number | undefined> {
  try {
    await run;
    return undefined;
  } catch (error) {
    if (isRaworcError(error, "rate_limited")) return error.retryAfterSeconds;
    throw error;
  }
}

test("the eleventh try for an account is refused wherever it comes from, even with the right password", async () => {
  const { throttle } = steered();
  for (let count = 0; count < 10; count += 1) {
    expect(await throttle.attempt("admin", `10.0.0.${count}`, wrong)).toBe(false);
  }
  let checked = false;
  const check = async () => {
    checked = true;
    return true;
  };
  expect(await refusal(throttle.attempt("admin", "10.0.1.1", check))).toBe(300);
  expect(checked).toBe(false);
  expect(await throttle.attempt("operator", "10.0.1.1", right)).toBe(true);
});

test("the eleventh try from an address is refused for whatever account, existing or not", async () => {
  const { throttle } = steered();
  for (let count = 0; count < 10; count += 1) await throttle.attempt(`user${count}`, "10.0.0.1", wrong);
  expect(await refusal(throttle.attempt("somebody", "10.0.0.1", right))).toBe(300);
  expect(await throttle.attempt("somebody", "10.0.0.2", right)).toBe(true);
});

test("refused tries are not counted: after five minutes it goes on, one try for each that has left the window", async () => {
  const { clock, throttle } = steered();
  await throttle.attempt("admin", "10.0.0.1", wrong);
  clock.now += 2 * MINUTE;
  for (let count = 0; count < 9; count += 1) await throttle.attempt("admin", "10.0.0.1", wrong);
  for (let count = 0; count < 50; count += 1) {
    expect(await refusal(throttle.attempt("admin", "10.0.0.1", wrong))).toBe(180);
  }
  clock.now += 3 * MINUTE;
  expect(await throttle.attempt("admin", "10.0.0.1", wrong)).toBe(false);
  expect(await refusal(throttle.attempt("admin", "10.0.0.1", right))).toBe(120);
});

test("a right password clears the account's failures, not the address's", async () => {
  const { throttle } = steered();
  for (let count = 0; count < 9; count += 1) await throttle.attempt("admin", "10.0.0.1", wrong);
  expect(await throttle.attempt("admin", "10.0.0.1", right)).toBe(true);
  expect(await throttle.attempt("admin", "10.0.0.1", wrong)).toBe(false);
  expect(await refusal(throttle.attempt("admin", "10.0.0.1", right))).toBe(300);
  expect(await throttle.attempt("admin", "10.0.0.2", right)).toBe(true);
});

test("of a hundred tries at once ten learn that they were wrong, and no more", async () => {
  const { throttle } = steered();
  const tries = Array.from({ length: 100 }, (_, index) =>
    throttle.attempt("admin", "10.0.0.1", index < 99 ? wrong : right),
  );
  const results = await Promise.allSettled(tries);
  expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(10);
});

test("a hundred right logins at once from one address all pass", async () => {
  const { throttle } = steered();
  const tries = Array.from({ length: 100 }, () => throttle.attempt("admin", "10.0.0.1", right));
  expect(await Promise.all(tries)).toEqual(Array(100).fill(true));
});

test("memory is bounded, and a victim's count outlives a flood of other names within the bound", async () => {
  const { throttle } = steered(100);
  for (let count = 0; count < 10; count += 1) await throttle.attempt("victim", `10.1.0.${count}`, wrong);
  for (let count = 0; count < 90; count += 1) await throttle.attempt(`name${count}`, `10.2.0.${count}`, wrong);
  expect(await refusal(throttle.attempt("victim", "10.3.0.1", right))).toBe(300);
  for (let count = 0; count < 5000; count += 1)
    await throttle.attempt(`other${count}`, `10.4.${count >> 8}.${count & 255}`, wrong);
  expect(throttle.size).toBeLessThanOrEqual(200);
});

describe("addresses", () => {
  test.each([
    ["10.0.0.1", "10.0.0.1"],
    ["::ffff:10.0.0.1", "10.0.0.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:0DB8:0001:0002::1", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["junk", "junk"],
  ])("%s counts as %s", (address, group) => {
    expect(addressGroup(address)).toBe(group);
  });
});
