import { expect, test } from "vitest";
import { DriverError } from "./driver.ts";
import { persist } from "./persistence.ts";

const failing = (errors: readonly Error[]) => {
  const left = [...errors];
  let attempts = 0;
  const work = async (): Promise<void> => {
    attempts += 1;
    const error = left.shift();
    if (error !== undefined) throw error;
  };
  return { work, attempts: () => attempts };
};
const busy = Object.assign(new Error("EBUSY: resource busy"), { code: "EBUSY" });
const transient = new DriverError("The container is being removed", { transient: true });

test("what is only in the way for a moment is waited for", async () => {
  const { attempts, work } = failing([busy, transient, Object.assign(new Error("not empty"), { code: "ENOTEMPTY" })]);
  await persist(work);
  expect(attempts()).toBe(4);
});

test("what waiting does not change is told at once, and patience has an end", async () => {
  const lasting = failing([new DriverError("This user may not", { transient: false }), busy]);
  await expect(persist(lasting.work)).rejects.toThrow("This user may not");
  expect(lasting.attempts()).toBe(1);
  const { work } = failing(Array<Error>(1000).fill(busy));
  await expect(persist(work, 100)).rejects.toThrow("EBUSY");
});
