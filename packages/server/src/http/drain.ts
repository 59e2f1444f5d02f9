import type { RaworcError } from "@raworc/contract";
import type { FastifyInstance } from "fastify";
import { drainingError } from "./problems.ts";

/** Of the time that requests get to end, the part after which those that wait for something are told to give up. */
const PATIENCE = 0.5;

/** How a server stops: it takes nothing more, ends what would never end, and lets the rest end. */
export class Drain {
  readonly #closing = new AbortController();
  readonly #ending = new AbortController();
  readonly #fastify: FastifyInstance;
  #running = 0;
  /** Asked for each request: a signal's own answer takes longer. */
  #isClosing = false;
  #whenIdle: (() => void) | undefined;
  #done: Promise<void> | undefined;

  constructor(fastify: FastifyInstance) {
    this.#fastify = fastify;
  }

  began(): void {
    this.#running += 1;
  }

  ended(): void {
    this.#running -= 1;
    if (this.#running === 0) this.#whenIdle?.();
  }

  /** Why a request that comes now is refused. */
  get refusal(): RaworcError | undefined {
    return this.#isClosing ? drainingError() : undefined;
  }

  /** Aborted when the server begins to stop: streams end, and new requests are refused. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Aborted somewhat later: requests that still wait for something give up. */
  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  /** Resolves when nothing is answered any more; after `graceMs` connections are cut. Idempotent. */
  run(graceMs: number): Promise<void> {
    this.#done ??= this.#run(graceMs);
    return this.#done;
  }

  async #run(graceMs: number): Promise<void> {
    this.#isClosing = true;
    this.#closing.abort(drainingError());
    const end = setTimeout(() => this.#ending.abort(drainingError()), graceMs * PATIENCE);
    const cut = setTimeout(() => {
      this.#fastify.server.closeAllConnections();
      this.#whenIdle?.();
    }, graceMs);
    try {
      // Whoever comes meanwhile is told to come again, which a closed port could not do.
      await this.#idle();
      await this.#fastify.close();
    } finally {
      clearTimeout(end);
      clearTimeout(cut);
      this.#ending.abort(drainingError());
    }
  }

  #idle(): Promise<void> {
    if (this.#running === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenIdle = resolve;
    });
  }
}
