import { randomUUIDv7 } from "node:crypto";
import type { Logger } from "pino";
import { limitsOfSpace } from "../domain/limits.ts";
import type { ComputerSpec, RuntimeDriver } from "../runtime/driver.ts";
import { HostConnection } from "../runtime/host-connection.ts";
import { findNewestBuild } from "../store/builds.ts";
import {
  deletePoolComputer,
  insertPoolComputer,
  listPoolComputers,
  type PoolComputer,
} from "../store/pool-computers.ts";
import { findSpaceById, listSpaceIds, type StoredSpace } from "../store/spaces.ts";
import type { Store } from "../store/store.ts";
import { fixedShape, sessionComputer } from "./computer-spec.ts";
import type { Faults } from "./faults.ts";
import { KeyedLoop, type Outcome } from "./keyed-loop.ts";

export interface WarmPoolOptions {
  readonly store: Store;
  readonly driver: RuntimeDriver;
  readonly log: Logger;
  readonly faults: Faults;
}

/** A computer that runs, has no identity yet, and is nobody else's from the moment it is taken. */
export interface WarmComputer {
  readonly id: string;
  readonly connection: HostConnection;
  readonly containerId: string | null;
  readonly volumeId: string | null;
  /** What it was made with; CPUs, memory and pids can still be changed. */
  readonly spec: ComputerSpec;
}

interface Waiting extends WarmComputer {
  readonly buildId: string | null;
  readonly shape: string;
}

/** What a space's pool is to hold. */
interface Wanted {
  readonly count: number;
  readonly buildId: string | null;
  readonly shape: string;
  readonly specOf: (id: string) => ComputerSpec;
}

const HEALTH_MS = 10_000;

/**
 * Keeps computers started for sessions to come, as many as each space's `warm_pool` says, of its newest build. Each is made
 * under the id of the session that it will become; what differs between sessions is handed over when it is taken.
 */
export class WarmPool {
  readonly #options: WarmPoolOptions;
  readonly #loop: KeyedLoop;
  readonly #waiting = new Map<string, Waiting[]>();
  /** Taken for a session that is not recorded yet. */
  readonly #taken = new Set<string>();

  constructor(options: WarmPoolOptions) {
    this.#options = options;
    this.#loop = new KeyedLoop({
      name: "pool",
      log: options.log,
      concurrency: 4,
      turn: (spaceId, signal) => this.#turn(spaceId, signal),
    });
  }

  /** Fills all pools. Computers of a server that was killed are taken up again by the first turn. */
  async begin(): Promise<void> {
    for (const id of await listSpaceIds(this.#options.store.read)) this.#loop.wake(id);
  }

  /** Ids of all computers that a row owns. */
  async ids(): Promise<readonly string[]> {
    return (await listPoolComputers(this.#options.store.read)).map(({ id }) => id);
  }

  /** The space's settings or its newest build have changed. */
  wake(spaceId: string): void {
    this.#loop.wake(spaceId);
  }

  /** The computer has died: it is looked at again, if it is one of the pool's. */
  lost(id: string): void {
    for (const [spaceId, waiting] of this.#waiting) {
      if (waiting.some((computer) => computer.id === id)) this.#loop.wake(spaceId);
    }
  }

  /**
   * Takes a computer that fits out of the pool. Its row is removed in the transaction that records the session under its
   * id; then, or when that fails, comes `settle` or `discard`.
   */
  take(spaceId: string, buildId: string | null, shape: string): WarmComputer | undefined {
    const waiting = this.#waiting.get(spaceId) ?? [];
    const index = waiting.findIndex((computer) => computer.buildId === buildId && computer.shape === shape);
    if (index === -1) return undefined;
    const [computer] = waiting.splice(index, 1);
    if (computer !== undefined) this.#taken.add(computer.id);
    return computer;
  }

  /** A taken computer has become a session's; another one is made for the pool. */
  settle(spaceId: string, id: string): void {
    this.#taken.delete(id);
    this.#loop.wake(spaceId);
  }

  /** How many wait, by space id. */
  counts(): ReadonlyMap<string, number> {
    return new Map([...this.#waiting].map(([spaceId, waiting]) => [spaceId, waiting.length]));
  }

  /** Removes all computers that wait for a space's sessions. */
  async drain(spaceId: string): Promise<void> {
    await this.#loop.exclusive(spaceId, async () => {
      for (const row of await listPoolComputers(this.#options.store.read, spaceId)) await this.discard(row.id);
    });
  }

  /** Removes a computer of the pool, whatever became of it. */
  async discard(id: string): Promise<void> {
    for (const waiting of this.#waiting.values()) {
      const index = waiting.findIndex((computer) => computer.id === id);
      if (index !== -1) waiting.splice(index, 1)[0]?.connection.close();
    }
    await this.#options.driver.remove(id, { volume: true });
    await this.#options.store.write((transaction) => deletePoolComputer(transaction, id));
    this.#taken.delete(id);
  }

  /** Computers stay as they are. */
  async close(): Promise<void> {
    await this.#loop.close();
    for (const { connection } of [...this.#waiting.values()].flat()) connection.close();
    this.#waiting.clear();
  }

  async #turn(spaceId: string, signal: AbortSignal): Promise<Outcome> {
    const { faults, store } = this.#options;
    const space = await findSpaceById(store.read, spaceId);
    if (space === undefined) return "done";
    const wanted = await this.#wanted(space);
    const rows = await listPoolComputers(store.read, spaceId);
    const kept: PoolComputer[] = [];
    for (const row of rows) {
      if (this.#taken.has(row.id)) continue;
      const fits = row.build_id === wanted.buildId && row.shape === wanted.shape && kept.length < wanted.count;
      if (fits && (await this.#isGood(row, wanted, signal))) kept.push(row);
      else await this.discard(row.id);
    }
    // Whoever asks for a session goes before the filling of the pool: one computer at a time.
    if (kept.length >= wanted.count) return "done";
    const id = randomUUIDv7();
    const row = { id, space_id: spaceId, build_id: wanted.buildId, shape: wanted.shape };
    await faults.around("pool_record", () => store.write((transaction) => insertPoolComputer(transaction, row)));
    await faults.around("pool_start", () => this.#start(row, wanted, signal));
    return { againAfterMs: 0 };
  }

  async #wanted(space: StoredSpace): Promise<Wanted> {
    const build = await findNewestBuild(this.#options.store.read, space.id, "completed");
    const limits = limitsOfSpace(space.settings);
    const network = space.settings.network ?? { mode: "open" as const };
    const specOf = (id: string) => sessionComputer({ id, limits, network }, space, build);
    const count = space.active ? (space.settings.warm_pool ?? 0) : 0;
    return { count, buildId: build?.id ?? null, shape: fixedShape(specOf("")), specOf };
  }

  /** Whether a computer still waits, running and without identity; one of an earlier server is taken up. */
  async #isGood(row: PoolComputer, wanted: Wanted, signal: AbortSignal): Promise<boolean> {
    const { status } = await this.#options.driver.observe(row.id);
    if (status !== "running") return false;
    if (this.#waiting.get(row.space_id)?.some(({ id }) => id === row.id) === true) return true;
    try {
      await this.#start(row, wanted, signal);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      this.#options.log.info({ err: error, computer: row.id }, "a computer of the pool is replaced");
      return false;
    }
  }

  async #start(row: Omit<PoolComputer, "created_at">, wanted: Wanted, signal: AbortSignal): Promise<void> {
    const { driver } = this.#options;
    const spec = wanted.specOf(row.id);
    const { containerId, volumeId } = await driver.start(spec, signal);
    const connection = new HostConnection(driver.socketDirectory(row.id));
    try {
      const { session_id } = await connection.health(AbortSignal.any([signal, AbortSignal.timeout(HEALTH_MS)]));
      // It was handed over by a server that died before it could record the session.
      if (session_id !== null) throw new Error("The computer has an identity already");
    } catch (error) {
      connection.close();
      throw error;
    }
    const { build_id: buildId, id, shape, space_id } = row;
    const waiting = this.#waiting.get(space_id) ?? [];
    this.#waiting.set(space_id, waiting);
    waiting.push({ id, buildId, shape, spec, connection, containerId, volumeId });
    this.#options.log.debug({ computer: id, space: space_id, count: waiting.length }, "a computer waits in the pool");
  }
}
