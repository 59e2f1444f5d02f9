import type { Logger } from "pino";
import type { RuntimeDriver } from "../runtime/driver.ts";
import { listPoolComputers } from "../store/pool-computers.ts";
import { listLiveSessionIds } from "../store/sessions.ts";
import type { Store } from "../store/store.ts";
import type { Leases } from "./leases.ts";

export interface SweepSurroundings {
  readonly store: Store;
  readonly driver: RuntimeDriver;
  readonly leases: Leases;
  readonly log: Logger;
}

/**
 * Removes computers that nobody owns: what a server has left that was killed. Other servers may be at work: whatever they
 * make is recorded, or leased, before there is anything of it, so what is there is listed first and its owners after.
 */
export async function sweepComputers({ driver, leases, log, store }: SweepSurroundings): Promise<void> {
  const computers = await driver.list();
  // A computer of the pool becomes a session's in one transaction: this order sees it in one of both.
  const pooled = await listPoolComputers(store.read);
  const owned = new Set([...pooled.map(({ id }) => id), ...(await listLiveSessionIds(store.read))]);
  for (const { id, kind } of computers) {
    // A builder is not yet known as one in its first moments.
    if (owned.has(id) || (await leases.isHeld("builder", id))) continue;
    log.info({ computer: id, kind }, "removing a computer that nobody owns");
    await driver.remove(id, { volume: true });
  }
}
