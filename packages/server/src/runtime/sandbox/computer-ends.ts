import { setTimeout as sleep } from "node:timers/promises";
import type { ComputerNotice } from "../driver.ts";
import { HostConnection } from "../host-connection.ts";
import type { Launched } from "./launcher.ts";
import { isAlive, type ProcessIdentity } from "./process-identity.ts";

/** From a host's end to that of everything inside and its mounts. */
const PATIENCE_MS = 10_000;
/** Between two looks at a computer whose host closed our connection and lives. */
const PAUSE_MS = 1000;

/**
 * Resolves when a process has ended, with whether it has. The kernel tells only parents; a computer that another control
 * plane started is looked at for the moments that a kill takes.
 */
export async function waitForEnd(identity: ProcessIdentity, patienceMs = PATIENCE_MS): Promise<boolean> {
  for (let pause = 1, waited = 0; isAlive(identity); waited += pause, pause = Math.min(pause * 2, 50)) {
    if (waited > patienceMs) return false;
    await sleep(pause);
  }
  return true;
}

/** Notices that computers end. Tells it once for each, and carries no truth. */
export class ComputerEnds {
  readonly #listeners = new Set<(notice: ComputerNotice) => void>();
  readonly #watched = new Map<string, AbortController>();

  listen(onNotice: (notice: ComputerNotice) => void, signal: AbortSignal): void {
    if (signal.aborted) return;
    // Each call is a listener of its own.
    const listener = (notice: ComputerNotice) => onNotice(notice);
    this.#listeners.add(listener);
    signal.addEventListener("abort", () => this.#listeners.delete(listener));
  }

  isWatched(id: string): boolean {
    return this.#watched.has(id);
  }

  /** A computer that this control plane started. Where its end is not heard of any more, its host's end is. */
  watchChild(id: string, socketDirectory: string, { ended, monitor }: Launched): void {
    const leaving = this.#begin(id);
    const follow = () => this.#follow(socketDirectory, monitor, leaving.signal);
    void ended.then(follow).then(() => this.#tell(id, leaving));
  }

  /** A computer that another control plane started: its host's end of a connection tells of its end. */
  watchHost(id: string, socketDirectory: string, monitor: ProcessIdentity): void {
    const leaving = this.#begin(id);
    void this.#follow(socketDirectory, monitor, leaving.signal).then(() => this.#tell(id, leaving));
  }

  /** Its end is expected, and told to nobody. */
  forget(id: string): void {
    this.#watched.get(id)?.abort();
    this.#watched.delete(id);
  }

  close(): void {
    for (const id of [...this.#watched.keys()]) this.forget(id);
    this.#listeners.clear();
  }

  #begin(id: string): AbortController {
    this.forget(id);
    const leaving = new AbortController();
    this.#watched.set(id, leaving);
    return leaving;
  }

  async #follow(socketDirectory: string, monitor: ProcessIdentity, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && isAlive(monitor)) {
      const connection = new HostConnection(socketDirectory);
      await connection.watch(signal).catch(() => undefined);
      connection.close();
      if (signal.aborted || (await waitForEnd(monitor, PAUSE_MS))) return;
    }
  }

  #tell(id: string, leaving: AbortController): void {
    if (leaving.signal.aborted || this.#watched.get(id) !== leaving) return;
    this.#watched.delete(id);
    for (const listener of [...this.#listeners]) listener({ id });
  }
}
