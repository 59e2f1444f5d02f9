import { setTimeout as sleep } from "node:timers/promises";
import { DriverError } from "../driver.ts";
import type { Cgroups } from "./cgroups.ts";
import { isHalted, type ProcessIdentity, signalProcess, treeOf } from "./process-identity.ts";

const PASSES_MAX = 300;

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
    // Whoever was born between two passes is met by the next; a process stands still when it next would run.
    for (let pass = 0; pass < PASSES_MAX; pass += 1) {
      const running = treeOf(init).filter((process) => !isHalted(process));
      if (running.length === 0) return;
      for (const process of running) signalProcess(process, "SIGSTOP");
      await sleep(Math.min(pass, 20));
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
