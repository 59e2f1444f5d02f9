import type { HostConnection } from "../runtime/host-connection.ts";

/** The right to use a computer: as long as it is held, the computer is not put to rest. */
export interface Lease {
  readonly connection: HostConnection;
  /** Idempotent. */
  release(): void;
}

interface Ready {
  readonly connection: HostConnection;
  uses: number;
  /** The host must be handed identity and environment again before the next use. */
  outdated: boolean;
}

interface Waiter {
  readonly resolve: (lease: Lease) => void;
  readonly reject: (error: unknown) => void;
}

/** Connections to the computers that were handed their identity by this server, and who waits for one. */
export class Connections {
  readonly #ready = new Map<string, Ready>();
  /** Of frozen computers: good again after the thaw. */
  readonly #resting = new Map<string, HostConnection>();
  readonly #waiters = new Map<string, Set<Waiter>>();
  readonly #onReleased: (id: string) => void;

  /** `onReleased` is called when the last lease of a computer ends. */
  constructor(onReleased: (id: string) => void) {
    this.#onReleased = onReleased;
  }

  /** Whether the computer has its identity and environment as they are now, frozen or not. */
  has(id: string): boolean {
    return this.#ready.get(id)?.outdated === false || this.#resting.has(id);
  }

  /** Whether the computer was frozen by this server, and nothing was heard of it since. */
  isResting(id: string): boolean {
    return this.#resting.has(id);
  }

  /** New uses wait until the host was told anew; those under way go on. False where there is no connection. */
  outdate(id: string): boolean {
    this.#resting.get(id)?.close();
    this.#resting.delete(id);
    const ready = this.#ready.get(id);
    if (ready !== undefined) ready.outdated = true;
    return ready !== undefined;
  }

  /** By which a use would begin at once. */
  find(id: string): HostConnection | undefined {
    const ready = this.#ready.get(id);
    return ready?.outdated === false ? ready.connection : undefined;
  }

  /** The connection by which an outdated computer is told anew. */
  outdated(id: string): HostConnection | undefined {
    const ready = this.#ready.get(id);
    return ready?.outdated === true ? ready.connection : undefined;
  }

  inUse(id: string): boolean {
    return (this.#ready.get(id)?.uses ?? 0) > 0;
  }

  isAwaited(id: string): boolean {
    return this.#waiters.has(id);
  }

  /** Undefined unless the computer is ready at this moment. */
  take(id: string): Lease | undefined {
    const ready = this.#ready.get(id);
    if (ready === undefined || ready.outdated) return undefined;
    ready.uses += 1;
    let released = false;
    return {
      connection: ready.connection,
      release: () => {
        if (released) return;
        released = true;
        ready.uses -= 1;
        if (ready.uses === 0) this.#onReleased(id);
      },
    };
  }

  /** The computer is ready; those who wait go on. A connection from before is closed. */
  add(id: string, connection: HostConnection): void {
    const ready = this.#ready.get(id);
    if (ready?.connection === connection) {
      ready.outdated = false;
      return;
    }
    this.#close(id);
    this.#ready.set(id, { connection, uses: 0, outdated: false });
  }

  /** Before a freeze. False while the computer is used: then it must not be frozen. */
  rest(id: string): boolean {
    if (this.inUse(id)) return false;
    const ready = this.#ready.get(id);
    if (ready?.outdated === true) ready.connection.close();
    else if (ready !== undefined) this.#resting.set(id, ready.connection);
    this.#ready.delete(id);
    return true;
  }

  /** After a thaw. */
  rise(id: string): void {
    const connection = this.#resting.get(id);
    if (connection === undefined) return;
    this.#resting.delete(id);
    this.#ready.set(id, { connection, uses: 0, outdated: false });
  }

  /** The computer is gone or not to be trusted to answer. Calls under way fail. */
  drop(id: string): void {
    this.#close(id);
  }

  /** Resolves when the computer is ready; rejects by `reject`, or with the signal. */
  wait(id: string, signal: AbortSignal): Promise<Lease> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const waiters = this.#waiters.get(id) ?? new Set();
      this.#waiters.set(id, waiters);
      const leave = () => {
        waiters.delete(waiter);
        if (waiters.size === 0 && this.#waiters.get(id) === waiters) this.#waiters.delete(id);
        signal.removeEventListener("abort", onAbort);
      };
      const onAbort = () => {
        leave();
        reject(signal.reason);
      };
      const waiter: Waiter = {
        resolve: (lease) => {
          leave();
          resolve(lease);
        },
        reject: (error) => {
          leave();
          reject(error);
        },
      };
      waiters.add(waiter);
      signal.addEventListener("abort", onAbort);
    });
  }

  /** Gives each waiter a lease. False when the computer is not ready. */
  settle(id: string): boolean {
    if (this.#ready.get(id)?.outdated !== false) return false;
    for (const waiter of [...(this.#waiters.get(id) ?? [])]) {
      const lease = this.take(id);
      if (lease !== undefined) waiter.resolve(lease);
    }
    return true;
  }

  reject(id: string, error: unknown): void {
    for (const waiter of [...(this.#waiters.get(id) ?? [])]) waiter.reject(error);
  }

  close(): void {
    for (const id of [...this.#ready.keys(), ...this.#resting.keys()]) this.#close(id);
  }

  #close(id: string): void {
    this.#ready.get(id)?.connection.close();
    this.#resting.get(id)?.close();
    this.#ready.delete(id);
    this.#resting.delete(id);
  }
}
