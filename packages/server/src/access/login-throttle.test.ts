import { isRaworcError } from "@raworc/contract";
import { afterEach, beforeEach, expect, it } from "vitest";
import { describeDatabases } from "../../../../test/support/databases.ts";
import { openStore, type Store } from "../store/store.ts";
import { LoginThrottle } from "./login-throttle.ts";

const MINUTE = 60_000;
const wrong = async () => false;
const right = async () => true;

async function refusal(run: Promise<boolean>): Promise<number | undefined> {
  try {
    await run;
    return undefined;
  } catch (error) {
    if (isRaworcError(error, "rate_limited")) return error.retryAfterSeconds;
    throw error;
  }
}

describeDatabases("the login throttle", (databases) => {
  let store: Store;
  let otherStore: Store;
  let throttle: LoginThrottle;
  /** Of another server on the same database. */
  let other: LoginThrottle;
  let clock: { now: number };

  beforeEach(async () => {
    const address = await databases.prepare();
    store = await openStore(address);
    otherStore = await openStore(address);
    clock = { now: 1_000_000 };
    const now = () => clock.now;
    throttle = new LoginThrottle({ store, now });
    other = new LoginThrottle({ store: otherStore, now });
  });
  afterEach(async () => {
    await store.close();
    await otherStore.close();
  });

  it("the eleventh try for an account is refused wherever it comes from, even with the right password", async () => {
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

  it("the eleventh try from an address is refused for whatever account, existing or not", async () => {
    for (let count = 0; count < 10; count += 1) await throttle.attempt(`user${count}`, "10.0.0.1", wrong);
    expect(await refusal(throttle.attempt("somebody", "10.0.0.1", right))).toBe(300);
    expect(await throttle.attempt("somebody", "10.0.0.2", right)).toBe(true);
  });

  it("refused tries are not counted: after five minutes it goes on, one try for each that has left the window", async () => {
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

  it("a right password clears the account's failures, not the address's", async () => {
    for (let count = 0; count < 9; count += 1) await throttle.attempt("admin", "10.0.0.1", wrong);
    expect(await throttle.attempt("admin", "10.0.0.1", right)).toBe(true);
    expect(await throttle.attempt("admin", "10.0.0.1", wrong)).toBe(false);
    expect(await refusal(throttle.attempt("admin", "10.0.0.1", right))).toBe(300);
    expect(await throttle.attempt("admin", "10.0.0.2", right)).toBe(true);
  });

  it("of a hundred tries at once ten learn that they were wrong, and no more", async () => {
    const tries = Array.from({ length: 100 }, (_, index) =>
      throttle.attempt("admin", "10.0.0.1", index < 99 ? wrong : right),
    );
    const results = await Promise.allSettled(tries);
    expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(10);
  });

  it("a hundred right logins at once from one address all pass", async () => {
    const tries = Array.from({ length: 100 }, () => throttle.attempt("admin", "10.0.0.1", right));
    expect(await Promise.all(tries)).toEqual(Array(100).fill(true));
  });

  it("counts for all servers together", async () => {
    for (let count = 0; count < 5; count += 1) {
      await throttle.attempt("admin", `10.0.0.${count}`, wrong);
      await other.attempt("admin", `10.0.1.${count}`, wrong);
    }
    for (const server of [throttle, other]) {
      expect(await refusal(server.attempt("admin", "10.0.2.1", right))).toBe(300);
    }
    const [one, two] = await Promise.all(
      [throttle, other].map((server) =>
        Promise.allSettled(Array.from({ length: 20 }, () => server.attempt("somebody", "10.0.3.1", wrong))),
      ),
    );
    const learned = [...(one ?? []), ...(two ?? [])].filter((result) => result.status === "fulfilled");
    expect(learned).toHaveLength(10);
  });

  it("keeps no names, and nothing for longer than it counts", async () => {
    for (let count = 0; count < 50; count += 1) await throttle.attempt(`hunter${count}`, `10.0.0.${count}`, wrong);
    const rows = () => store.read.selectFrom("login_failures").selectAll().execute();
    expect(await rows()).toHaveLength(100);
    expect(JSON.stringify(await rows())).not.toMatch(/hunter|10\.0\.0/);
    clock.now += 5 * MINUTE + 1;
    await throttle.attempt("admin", "10.0.1.1", wrong);
    expect(await rows()).toHaveLength(2);
  });
});
