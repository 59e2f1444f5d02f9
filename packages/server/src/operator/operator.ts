import type { Logger } from "pino";
import type { Builds } from "./builds.ts";
import type { Idle } from "./idle.ts";
import type { Messages } from "./messages.ts";
import type { Sessions } from "./sessions.ts";
import type { WarmPool } from "./warm-pool.ts";

export interface OperatorOptions {
  readonly sessions: Sessions;
  readonly messages: Messages;
  readonly builds: Builds;
  readonly idle: Idle;
  readonly pool: WarmPool;
  readonly log: Logger;
}

const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 15_000;

/** Brings what is there to what is recorded, from the start of the server to its end. */
export class Operator {
  readonly #options: OperatorOptions;
  readonly #closing = new AbortController();
  #running = false;
  #beginning: Promise<void> | undefined;

  constructor(options: OperatorOptions) {
    this.#options = options;
  }

  /** Whether everything that an earlier server left was looked at, and the loops run. */
  running(): boolean {
    return this.#running;
  }

  /** Resolves when the loops run; where the runtime does not answer yet, that is tried again until `close`. */
  begin(): Promise<void> {
    this.#beginning ??= this.#begin();
    return this.#beginning;
  }

  /** What runs in computers goes on there. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#running = false;
    await this.#beginning?.catch(() => undefined);
    const { builds, idle, messages, pool, sessions } = this.#options;
    await Promise.all([builds.close(), messages.close(), pool.close()]);
    await sessions.close();
    await idle.close();
  }

  async #begin(): Promise<void> {
    const { builds, idle, log, messages, pool, sessions } = this.#options;
    const { signal } = this.#closing;
    for (let pause = RETRY_FIRST_MS; !signal.aborted; pause = Math.min(pause * 2, RETRY_MAX_MS)) {
      try {
        await builds.begin();
        for (const id of await sessions.begin(signal, await pool.ids())) idle.watch(id);
        await pool.begin();
        await messages.begin();
        this.#running = true;
        return;
      } catch (error) {
        log.error({ err: error, pause_ms: pause }, "the operator could not begin; it tries again");
        await waitFor(pause, signal);
      }
    }
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
