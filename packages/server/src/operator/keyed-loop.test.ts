import pino from "pino";
import { afterEach, describe, expect, it } from "vitest";
import { KeyedLoop, type Outcome } from "./keyed-loop.ts";

const log = pino({ level: "silent" });
const loops: KeyedLoop[] = [];

function loopOf(turn: (key: string, signal: AbortSignal) => Promise<Outcome>, concurrency = 4): KeyedLoop {
  const loop = new KeyedLoop({ name: "test", log, concurrency, turn });
  loops.push(loop);
  return loop;
}

afterEach(async () => {
  await Promise.all(loops.splice(0).map((loop) => loop.close()));
});

/** A place that turns wait at until the test lets them go. */
function gate() {
  const waiting: (() => void)[] = [];
  return {
    pass: () => new Promise<void>((resolve) => waiting.push(resolve)),
    open: () => waiting.splice(0).forEach((resolve) => resolve()),
    get count() {
      return waiting.length;
    },
  };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe("KeyedLoop", () => {
  it("takes one turn at a time for a key, and one more for wake-ups that come meanwhile", async () => {
    const door = gate();
    let turns = 0;
    const loop = loopOf(async () => {
      turns += 1;
      await door.pass();
      return "done";
    });
    loop.wake("a");
    loop.wake("a");
    loop.wake("a");
    await settle();
    expect(turns).toBe(1);
    door.open();
    await settle();
    expect(turns).toBe(2);
    door.open();
    await settle();
    expect(turns).toBe(2);
  });

  it("handles several keys at once, but no more than it may", async () => {
    const door = gate();
    const loop = loopOf(async () => {
      await door.pass();
      return "done";
    }, 2);
    for (const key of ["a", "b", "c"]) loop.wake(key);
    await settle();
    expect(door.count).toBe(2);
    door.open();
    await settle();
    expect(door.count).toBe(1);
    door.open();
  });

  it("repeats a turn that throws until it succeeds", async () => {
    let turns = 0;
    const done = new Promise<void>((resolve) => {
      const loop = loopOf(async () => {
        turns += 1;
        if (turns < 3) throw new Error("not yet");
        resolve();
        return "done";
      });
      loop.wake("a");
    });
    await done;
    expect(turns).toBe(3);
  });

  it("takes the next turn at once when it is woken during a pause", async () => {
    let turns = 0;
    const loop = loopOf(async () => {
      turns += 1;
      return turns === 1 ? { againAfterMs: 3_600_000 } : "done";
    });
    loop.wake("a");
    await settle();
    loop.wake("a");
    await settle();
    expect(turns).toBe(2);
  });

  it("interrupts a turn and takes the next", async () => {
    const reasons: boolean[] = [];
    const loop = loopOf(async (_, signal) => {
      if (reasons.length > 0) {
        reasons.push(signal.aborted);
        return "done";
      }
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      reasons.push(signal.aborted);
      throw signal.reason;
    });
    loop.wake("a");
    await settle();
    loop.interrupt("a");
    await settle();
    await settle();
    expect(reasons).toEqual([true, false]);
  });

  it("waits for running turns when it closes, and takes no more", async () => {
    let ended = 0;
    let turns = 0;
    const loop = loopOf(async (_, signal) => {
      turns += 1;
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      ended += 1;
      return "done";
    });
    loop.wake("a");
    await settle();
    await loop.close();
    expect(ended).toBe(1);
    loop.wake("b");
    await settle();
    expect(turns).toBe(1);
  });

  it("lets exclusive work in after the running turn, and no turn of that key during it", async () => {
    const door = gate();
    const order: string[] = [];
    const loop = loopOf(async (key) => {
      order.push(`turn ${key}`);
      if (order.length === 1) await door.pass();
      return "done";
    });
    loop.wake("a");
    await settle();
    const work = (name: string) => async () => {
      order.push(`begin ${name}`);
      loop.wake("a");
      loop.wake("b");
      await settle();
      order.push(`end ${name}`);
    };
    const both = Promise.all([loop.exclusive("a", work("one")), loop.exclusive("a", work("two"))]);
    await settle();
    expect(order).toEqual(["turn a"]);
    door.open();
    await both;
    await settle();
    const held = order.filter((entry) => entry !== "turn b");
    expect(held).toEqual(["turn a", "begin one", "end one", "begin two", "end two", "turn a"]);
    expect(order).toContain("turn b");
  });
});
