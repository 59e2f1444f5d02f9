import { listLiveSessionIds } from "../store/sessions.ts";
import type { Builds } from "./builds.ts";
import type { Errands } from "./errands.ts";
import type { Idle } from "./idle.ts";
import type { Messages } from "./messages.ts";
import type { Servers } from "./servers.ts";
import type { Sessions } from "./sessions.ts";
import { type SweepSurroundings, sweepComputers } from "./sweep.ts";
import type { Wakeups } from "./wakeups.ts";
import type { WarmPool } from "./warm-pool.ts";

export interface OperatorOptions extends SweepSurroundings {
  readonly servers: Servers;
  readonly wakeups: Wakeups;
  readonly errands: Errands;
  readonly sessions: Sessions;
  readonly messages: Messages;
  readonly builds: Builds;
  readonly idle: Idle;
  readonly pool: WarmPool;
}

const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 15_000;

/**
 * Brings what is there to what is recorded, from the start of the server to its end. Of several servers each does what it
 * holds the leases of, and takes over from one that has gone. One that only answers calls begins nothing.
 */
export class Operator {
  readonly #options: OperatorOptions;
  readonly #closing = new AbortController();
  #running = false;
  #isLooking = false;
  #beginning: Promise<void> | undefined;

  constructor(options: OperatorOptions) {
    this.#options = options;
    options.servers.onEnd(() => this.#lookAgain());
    options.wakeups.onMiss(() => {
      this.#lookAgain().catch((error: unknown) => {
        // Whatever keeps the store from being read now makes the next look come.
        options.log.warn({ err: error }, "what other servers may have changed could not be looked at");
      });
    });
  }

  /** Whether everything that an earlier server left was looked at, and the loops run; where they are another's, that there is one. */
  running(): boolean {
    const { servers } = this.#options;
    return servers.operates ? this.#running : servers.hasOperator;
  }

  /** Resolves when the loops run; where the runtime does not answer yet, that is tried again until `close`. */
  begin(): Promise<void> {
    if (!this.#options.servers.operates) return Promise.resolve();
    this.#beginning ??= this.#begin();
    return this.#beginning;
  }

  /** What runs in computers goes on there. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#running = false;
    this.#isLooking = false;
    await this.#beginning?.catch(() => undefined);
    const { builds, errands, idle, messages, pool, sessions } = this.#options;
    await errands.close();
    await Promise.all([builds.close(), messages.close(), pool.close()]);
    await sessions.close();
    await idle.close();
  }

  async #begin(): Promise<void> {
    const { leases, log, sessions } = this.#options;
    const { signal } = this.#closing;
    let isWatching = false;
    for (let pause = RETRY_FIRST_MS; !signal.aborted; pause = Math.min(pause * 2, RETRY_MAX_MS)) {
      try {
        await sweepComputers(this.#options);
        if (!isWatching) sessions.begin(signal);
        isWatching = true;
        await leases.offerFree();
        this.#isLooking = true;
        await this.#lookAtAll();
        this.#running = true;
        return;
      } catch (error) {
        log.error({ err: error, pause_ms: pause }, "the operator could not begin; it tries again");
        await waitFor(pause, signal);
      }
    }
  }

  /** Servers have gone, or calls of theirs or the store were missed. */
  async #lookAgain(): Promise<void> {
    if (this.#isLooking) await this.#lookAtAll();
  }

  /** Takes what nobody does, and wakes every loop for whatever it may have to do. */
  async #lookAtAll(): Promise<void> {
    const { builds, errands, idle, leases, messages, pool, sessions, store } = this.#options;
    for (const id of await leases.holdAll("session", await listLiveSessionIds(store.read))) {
      sessions.wake(id);
      idle.watch(id);
    }
    await Promise.all([builds.begin(), pool.begin(), messages.begin(), errands.lookAtAll()]);
  }
}

function waitFor(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
