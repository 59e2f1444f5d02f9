import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";

/** Whoever comes back soon finds all of a computer's memory still there. */
const AFTER_MS = 10_000;
/** The longest that the kernel works at one computer in one go. */
const PATIENCE_MS = 5000;
/** The kernel waits for no disk: what it is still writing it gives back when it is asked again. */
const PAUSES_MS = [100, 300, 1000, 3000];
/** Less than this is mostly the kernel's own, of processes and files. */
const LEFT_MIN = 2 * 1024 * 1024;
const KIB = 1024;

/**
 * Asks the kernel to take all memory of a control group. In the second version swap counts for itself, and computers may use
 * none while they run: as much as the limit of memory is open for the moment. Each step may be interrupted.
 */
const TAKE = `
cd "$1" || exit
if [ -e memory.reclaim ]; then
  trap 'echo 0 >memory.swap.max' EXIT
  trap exit TERM
  cat memory.max >memory.swap.max
  while echo 4M >memory.reclaim; do :; done
else
  echo 0 >memory.force_empty
fi`;

export interface MemoryReturnOptions {
  /** Folder of the computer's own control group for memory; undefined where there is none, or the computer does not stand still. */
  readonly groupOf: (id: string) => Promise<string | undefined>;
  readonly afterMs?: number | undefined;
  readonly log: Logger;
}

/**
 * Gives memory of computers that stand still back to the machine, one computer after the other. Nothing is given where there
 * is no room to swap: then only what can be read again from files would go, which the kernel takes by itself when it needs to.
 */
export class MemoryReturn {
  readonly #options: MemoryReturnOptions;
  readonly #planned = new Map<string, NodeJS.Timeout>();
  #last: Promise<void> = Promise.resolve();
  #working: { readonly id: string; readonly child: ChildProcess } | undefined;

  constructor(options: MemoryReturnOptions) {
    this.#options = options;
  }

  /** The computer stands still now. */
  plan(id: string): void {
    clearTimeout(this.#planned.get(id));
    const timer = setTimeout(() => {
      this.#last = this.#last.then(() => this.#turn(id, timer));
    }, this.#options.afterMs ?? AFTER_MS).unref();
    this.#planned.set(id, timer);
  }

  /** The computer is about to run or to go. What is under way ends soon, and hinders nothing until then. */
  cancel(id: string): void {
    clearTimeout(this.#planned.get(id));
    this.#planned.delete(id);
    if (this.#working?.id === id) this.#working.child.kill("SIGTERM");
  }

  close(): void {
    for (const id of this.#planned.keys()) this.cancel(id);
  }

  async #turn(id: string, plan: NodeJS.Timeout): Promise<void> {
    const { groupOf, log } = this.#options;
    const isPlanned = () => this.#planned.get(id) === plan;
    try {
      if (!isPlanned() || (await freeSwap()) === 0) return;
      const group = await groupOf(id);
      if (group === undefined) return;
      const held = await heldBy(group);
      if (held === 0 || (await freeSwap()) < held || !isPlanned()) return;
      let left = await this.#take(id, group);
      for (const pause of PAUSES_MS) {
        if (left < LEFT_MIN || !isPlanned()) break;
        await sleep(pause, undefined, { ref: false });
        if (isPlanned()) left = await this.#take(id, group);
      }
      log.debug({ computer: id, held, left }, "memory was given back");
    } catch (error) {
      log.warn({ err: error, computer: id }, "memory could not be given back");
    } finally {
      if (isPlanned()) this.#planned.delete(id);
    }
  }

  /** A process of its own does it: it can be interrupted, and no thread of this one waits for the kernel. Gives what is left. */
  async #take(id: string, group: string): Promise<number> {
    const child = spawn("/bin/sh", ["-c", TAKE, "sh", group], { stdio: "ignore", env: {} });
    this.#working = { id, child };
    const timer = setTimeout(() => child.kill("SIGTERM"), PATIENCE_MS);
    try {
      await once(child, "exit");
    } finally {
      clearTimeout(timer);
      this.#working = undefined;
    }
    return heldBy(group);
  }
}

/** Bytes; 0 where it is not counted. */
async function heldBy(group: string): Promise<number> {
  for (const file of ["memory.current", "memory.usage_in_bytes"]) {
    const text = await readFile(join(group, file), "latin1").catch(() => "");
    if (text !== "") return Number(text);
  }
  return 0;
}

/** Bytes. */
async function freeSwap(): Promise<number> {
  const text = await readFile("/proc/meminfo", "latin1").catch(() => "");
  return Number(/^SwapFree:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * KIB;
}
