import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ColdStarts } from "./cold-starts.ts";

describe("ColdStarts", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("are waited for until the last has ended, however it ends", async () => {
    const starts = new ColdStarts();
    const ended = vi.fn();
    const [one, other] = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
    expect(starts.patienceMs()).toBe(0);
    const [first, second] = [starts.around(() => one.promise), starts.around(() => other.promise)];
    starts.onEnd(ended);
    one.resolve("up");
    expect(await first).toBe("up");
    expect(starts.patienceMs()).toBeGreaterThan(0);
    expect(ended).not.toHaveBeenCalled();
    other.reject(new Error("down"));
    await expect(second).rejects.toThrow("down");
    expect(starts.patienceMs()).toBe(0);
    expect(ended).toHaveBeenCalledOnce();
  });

  it("keep nobody waiting for good", async () => {
    const starts = new ColdStarts();
    const going = Promise.withResolvers<void>();
    const first = starts.around(() => going.promise);
    vi.advanceTimersByTime(9000);
    expect(starts.patienceMs()).toBe(1000);
    vi.advanceTimersByTime(2000);
    expect(starts.patienceMs()).toBe(0);
    going.resolve();
    await first;
  });
});
