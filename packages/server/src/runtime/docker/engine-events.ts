import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { readJsonLines } from "../ndjson.ts";
import { EngineEvent } from "./engine-answers.ts";
import type { EngineClient } from "./engine-client.ts";
import type { Names } from "./names.ts";
import { type OwnChange, OwnChanges } from "./own-changes.ts";

const LINE_MAX_BYTES = 1024 * 1024;
const BACKOFF_MIN_MS = 100;
const BACKOFF_MAX_MS = 5000;
const ACTIONS = ["die", "destroy", "pause", "unpause", "oom"];

export interface ComputerEvent {
  readonly id: string;
  readonly action: string;
}

export interface EngineListener {
  readonly onEvent?: (event: ComputerEvent) => void;
  /** The network of `open` computers was removed. */
  readonly onNetworkGone?: () => void;
  /** Events may have been missed: look at everything again. */
  readonly onGap?: () => void;
}

/** What happens to this installation's containers by others. Goes on after the engine was restarted. */
export class EngineEvents {
  readonly #client: EngineClient;
  readonly #names: Names;
  readonly #log: Logger;
  readonly #closing = new AbortController();
  readonly #listeners = new Set<EngineListener>();
  readonly #own = new OwnChanges();
  #running: Promise<void> | undefined;
  #connected = Promise.withResolvers<void>();

  constructor(client: EngineClient, names: Names, log: Logger) {
    this.#client = client;
    this.#names = names;
    this.#log = log;
  }

  /** Begins to listen at the first call. Resolves when nothing is missed from then on. */
  async connected(signal: AbortSignal): Promise<void> {
    this.#running ??= this.#run();
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort);
    try {
      signal.throwIfAborted();
      await Promise.race([this.#connected.promise, aborted]);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  listen(listener: EngineListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Makes a call whose event nobody need be told of. */
  causing(id: string, action: OwnChange, call: () => Promise<unknown>): Promise<void> {
    return this.#own.around(id, action, call);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    let backoff = BACKOFF_MIN_MS;
    for (let first = true; !signal.aborted; first = false) {
      try {
        const answer = await this.#client.stream({
          method: "GET",
          path: "/events",
          // Events of networks have no labels, so those of others come too.
          query: { filters: JSON.stringify({ type: ["container", "network"], event: ACTIONS }) },
          long: true,
          signal,
        });
        backoff = BACKOFF_MIN_MS;
        this.#connected.resolve();
        if (!first) this.#gap();
        for await (const value of readJsonLines(answer, LINE_MAX_BYTES)) this.#take(value);
      } catch (error) {
        if (signal.aborted) return;
        this.#log.warn({ err: error }, "events of the Docker engine broke off");
      }
      this.#connected.resolve();
      this.#connected = Promise.withResolvers();
      this.#client.forgetVersion();
      await sleep(backoff, undefined, { signal }).catch(() => undefined);
      backoff = Math.min(backoff * 2, BACKOFF_MAX_MS);
    }
  }

  #take(value: unknown): void {
    const event = EngineEvent.safeParse(value);
    const attributes = event.data?.Actor.Attributes;
    if (event.data?.Type === "network") {
      if (attributes?.["name"] === this.#names.network) this.#tell(({ onNetworkGone }) => onNetworkGone?.());
      return;
    }
    const computer = this.#names.computerOf(attributes);
    if (event.data === undefined || computer === undefined) return;
    const told = { id: computer.id, action: event.data.Action };
    if (!this.#own.takes(told)) this.#tell(({ onEvent }) => onEvent?.(told));
  }

  #gap(): void {
    this.#own.forget();
    this.#tell(({ onGap }) => onGap?.());
  }

  #tell(how: (listener: EngineListener) => void): void {
    for (const listener of [...this.#listeners]) how(listener);
  }
}
