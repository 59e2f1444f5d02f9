import { setImmediate as nextTurn } from "node:timers/promises";
import { DriverError } from "../driver.ts";
import type { Cgroups } from "./cgroups.ts";
import { isHalted, type ProcessIdentity, signalProcess, treeOf } from "./process-identity.ts";

const PASSES_MAX = 1000;

/** Lets a computer stand still: by its control group, or process by process where there is none. */
export interface Standstill {
  freeze(id: string, init: ProcessIdentity): Promise<void>;
  thaw(id: string, init: ProcessIdentity): Promise<void>;
  isFrozen(id: string, init: ProcessIdentity): Promise<boolean>;
}

export function standstillBy(cgroups: Cgroups | undefined): Standstill {
  if (cgroups?.freezes !== true) return bySignals;
  return {
    freeze: (id) => cgroups.freeze(id),
    thaw: (id) => cgroups.thaw(id),
    isFrozen: (id) => cgroups.isFrozen(id),
  };
}

const bySignals: Standstill = {
  async freeze(_, init) {
    const halted = new Set<number>();
    // Whoever was born between two passes is met by the next.
    for (let pass = 0; pass < PASSES_MAX; pass += 1) {
      const running = treeOf(init).filter(({ pid }) => !halted.has(pid));
      if (running.length === 0) return;
      for (const process of running) {
        signalProcess(process, "SIGSTOP");
        halted.add(process.pid);
      }
      await nextTurn();
    }
    await bySignals.thaw("", init);
    throw new DriverError("The computer can't be frozen: its processes multiply faster than they are halted", {
      transient: true,
    });
  },
  async thaw(_, init) {
    for (const process of treeOf(init).toReversed()) signalProcess(process, "SIGCONT");
  },
  async isFrozen(_, init) {
    return isHalted(init);
  },
};
