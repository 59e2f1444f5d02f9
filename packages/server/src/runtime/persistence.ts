import { setTimeout as sleep } from "node:timers/promises";
import { DriverError } from "./driver.ts";

const PAUSE_FIRST_MS = 50;
const PAUSE_MAX_MS = 2000;
const PATIENCE_MS = 30_000;
/** Something still holds a mount or a file, or writes into a folder, for a moment: what a killed server has started. */
const MOMENTARY = new Set(["EBUSY", "ENOTEMPTY", "ETXTBSY"]);

/**
 * Repeats work that may be repeated while only something momentary is in its way, with growing pauses. Throws what the last
 * attempt threw.
 */
export async function persist(work: () => Promise<void>, patienceMs = PATIENCE_MS): Promise<void> {
  for (let pause = PAUSE_FIRST_MS, waited = 0; ; waited += pause, pause = Math.min(pause * 2, PAUSE_MAX_MS)) {
    try {
      return await work();
    } catch (error) {
      if (!isMomentary(error) || waited >= patienceMs) throw error;
    }
    await sleep(pause);
  }
}

function isMomentary(error: unknown): boolean {
  if (error instanceof DriverError) return error.transient;
  return error instanceof Error && "code" in error && MOMENTARY.has(String(error.code));
}
