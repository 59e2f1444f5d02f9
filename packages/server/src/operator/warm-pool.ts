import { randomUUIDv7 } from "node:crypto";
import { Limits } from "@raworc/contract";
import type { Logger } from "pino";
import { z } from "zod";
import { limitsOfSpace } from "../domain/limits.ts";
import type { ComputerSpec, RuntimeDriver } from "../runtime/driver.ts";
import { HostConnection } from "../runtime/host-connection.ts";
import { findNewestBuild, type StoredBuild } from "../store/builds.ts";
import {
  deletePoolComputer,
  findPoolComputer,
  insertPoolComputer,
  listPoolComputers,
  type PoolComputer,
} from "../store/pool-computers.ts";
import { findSpaceById, listSpaceIds, type StoredSpace } from "../store/spaces.ts";
import type { Store } from "../store/store.ts";
import type { ColdStarts } from "./cold-starts.ts";
import { fixedShape, sessionComputer } from "./computer-spec.ts";
import type { Done, Errands } from "./errands.ts";
import type { Faults } from "./faults.ts";
import { KeyedLoop, type Outcome } from "./keyed-loop.ts";
import { LeaseLost, type Leases } from "./leases.ts";
import type { Wakeups } from "./wakeups.ts";

export interface WarmPoolOptions {
  readonly store: Store;
  readonly wakeups: Wakeups;
  readonly leases: Leases;
  readonly errands: Errands;
  readonly driver: RuntimeDriver;
  readonly coldStarts: ColdStarts;
  readonly log: Logger;
  readonly faults: Faults;
}

/** A computer that runs, has no identity yet, and is nobody else's from the moment it is taken. */
export interface WarmComputer extends Waiting {
  /**
   * Comes last: with true when a session is recorded under its id, and its row in the pool removed, in one transaction.
   * Never throws.
   */
  release(used: boolean): void;
}

interface Waiting {
  readonly id: string;
  readonly spaceId: string;
  readonly connection: HostConnection;
  readonly containerId: string | null;
  readonly volumeId: string | null;
  /** What it was made with; CPUs, memory and pids can still be changed. */
  readonly limits: Limits;
  readonly buildId: string | null;
  readonly shape: string;
}

/** What is asked of the server that fills a space's pool, and what it gives away. */
const WarmRequest = z.object({ build_id: z.string().nullable(), shape: z.string() });
const WarmAnswer = z.object({
  id: z.string(),
  container_id: z.string().nullable(),
  volume_id: z.string().nullable(),
  limits: Limits,
});

/** What a space's pool is to hold. */
interface Wanted {
  readonly count: number;
  readonly buildId: string | null;
  readonly shape: string;
  readonly specOf: (id: string) => ComputerSpec;
}

const HEALTH_MS = 10_000;
/** How long another server's pool is waited for; a new computer takes not much longer. */
const OTHER_MS = 2000;
/** A session's first moments with its computer are not disturbed by the making of the next one, */
const QUIET_MS = 250;
/** unless one session after the other is opened. */
const QUIET_MAX_MS = 1500;

/** Times of the first and the last taking since a computer was made. */
interface Takings {
  readonly first: number;
  readonly last: number;
}

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
  readonly #takings = new Map<string, Takings>();

  constructor(options: WarmPoolOptions) {
    this.#options = options;
    this.#loop = new KeyedLoop({
      name: "pool",
      log: options.log,
      concurrency: 4,
      turn: (spaceId, signal) => this.#turn(spaceId, signal),
    });
    const { errands, leases, wakeups } = options;
    wakeups.watch("pool", (id) => this.#loop.wake(id));
    wakeups.watch("space", (id) => this.#loop.wake(id));
    leases.share("pool", { onFree: (id) => this.#loop.wake(id), onLost: (id) => this.#leave(id) });
    errands.serve("drain", ({ subject }) => this.#drainForOther(subject));
    errands.serve("warm", ({ request, subject }) => this.#giveAway(subject, WarmRequest.parse(request)));
  }

  /** Fills all pools. Computers of a server that was killed are taken up again by the first turn. */
  async begin(): Promise<void> {
    for (const id of await listSpaceIds(this.#options.store.read)) this.#loop.wake(id);
  }

  /** The space's settings or its newest build have changed. */
  wake(spaceId: string): void {
    const { leases, wakeups } = this.#options;
    if (leases.holds("pool", spaceId)) this.#loop.wake(spaceId);
    else wakeups.emit("pool", spaceId, undefined);
  }

  /** The computer has died: it is looked at again, if it is one of the pool's. */
  lost(id: string): void {
    for (const [spaceId, waiting] of this.#waiting) {
      if (waiting.some((computer) => computer.id === id)) this.#loop.wake(spaceId);
    }
  }

  /** Takes a computer that fits out of the pool, whichever server fills that. Undefined where there is none. */
  async take(
    space: StoredSpace,
    build: StoredBuild | undefined,
    shape: string,
    signal: AbortSignal,
  ): Promise<WarmComputer | undefined> {
    const buildId = build?.id ?? null;
    if (this.#options.leases.holds("pool", space.id)) return this.#take(space.id, buildId, shape);
    if ((space.settings.warm_pool ?? 0) === 0) return undefined;
    return this.#takeFromOther(space.id, buildId, shape, signal);
  }

  #take(spaceId: string, buildId: string | null, shape: string): WarmComputer | undefined {
    const waiting = this.#waiting.get(spaceId) ?? [];
    const index = waiting.findIndex((computer) => computer.buildId === buildId && computer.shape === shape);
    const [computer] = index === -1 ? [] : waiting.splice(index, 1);
    if (computer === undefined) return undefined;
    this.#taken.add(computer.id);
    const last = performance.now();
    this.#takings.set(spaceId, { first: this.#takings.get(spaceId)?.first ?? last, last });
    return { ...computer, release: (used) => this.#release(computer, used) };
  }

  async #takeFromOther(
    spaceId: string,
    buildId: string | null,
    shape: string,
    signal: AbortSignal,
  ): Promise<WarmComputer | undefined> {
    const { driver, errands, log } = this.#options;
    const patience = AbortSignal.any([signal, AbortSignal.timeout(OTHER_MS)]);
    const request: z.input<typeof WarmRequest> = { build_id: buildId, shape };
    try {
      const { end, result } = await errands.ask("warm", spaceId, patience, request);
      const answer = WarmAnswer.nullable().parse(result);
      if (answer === null) {
        end();
        return undefined;
      }
      const { container_id: containerId, id, limits, volume_id: volumeId } = answer;
      const connection = new HostConnection(driver.socketDirectory(id));
      return { id, spaceId, connection, containerId, volumeId, limits, buildId, shape, release: end };
    } catch (error) {
      signal.throwIfAborted();
      log.info({ err: error, space: spaceId }, "no computer of another server's pool could be had");
      return undefined;
    }
  }

  async #giveAway(spaceId: string, { build_id, shape }: z.output<typeof WarmRequest>): Promise<Done | undefined> {
    if (!(await this.#options.leases.hold("pool", spaceId))) return undefined;
    const computer = this.#take(spaceId, build_id, shape);
    if (computer === undefined) return { result: null };
    const { connection, containerId: container_id, id, limits, volumeId: volume_id } = computer;
    connection.close();
    const result: z.input<typeof WarmAnswer> = { id, container_id, volume_id, limits };
    // Whether it was used is in the store: then it has no row in the pool.
    return { result, onEnd: () => computer.release(false) };
  }

  /** One that is not used is removed, unless it is another server's meanwhile. Another one is made for the pool. */
  #release(computer: Waiting, used: boolean): void {
    const { leases, log } = this.#options;
    const { connection, id, spaceId } = computer;
    const release = async (): Promise<void> => {
      if (used) return;
      connection.close();
      if (leases.holds("pool", spaceId)) await this.#discard(id);
    };
    release()
      .catch((error: unknown) => log.warn({ err: error, computer: id }, "a computer of the pool could not be removed"))
      .finally(() => {
        this.#taken.delete(id);
        this.wake(spaceId);
      });
  }

  /** How many wait, by space id. */
  counts(): ReadonlyMap<string, number> {
    return new Map([...this.#waiting].map(([spaceId, waiting]) => [spaceId, waiting.length]));
  }

  /** Removes all computers that wait for a space's sessions. */
  async drain(spaceId: string, signal: AbortSignal): Promise<void> {
    const { errands, leases } = this.#options;
    if (leases.holds("pool", spaceId)) await this.#drain(spaceId);
    else (await errands.ask("drain", spaceId, signal)).end();
  }

  async #drainForOther(spaceId: string): Promise<Done | undefined> {
    if (!(await this.#options.leases.hold("pool", spaceId))) return undefined;
    await this.#drain(spaceId);
    return {};
  }

  /** This server was taken for gone: its computers are the next one's. */
  #leave(spaceId: string): void {
    for (const { connection } of this.#waiting.get(spaceId) ?? []) connection.close();
    this.#waiting.delete(spaceId);
    this.#options.errands.leave(spaceId);
    this.#loop.interrupt(spaceId);
  }

  async #drain(spaceId: string): Promise<void> {
    await this.#loop.exclusive(spaceId, async () => {
      for (const row of await listPoolComputers(this.#options.store.read, spaceId)) await this.#discard(row.id);
    });
  }

  /** Removes a computer, if it is the pool's still. */
  async #discard(id: string): Promise<void> {
    for (const waiting of this.#waiting.values()) {
      const index = waiting.findIndex((computer) => computer.id === id);
      if (index !== -1) waiting.splice(index, 1)[0]?.connection.close();
    }
    const { driver, store } = this.#options;
    if ((await findPoolComputer(store.read, id)) === undefined) return;
    await driver.remove(id, { volume: true });
    await store.write((transaction) => deletePoolComputer(transaction, id));
  }

  /** Computers stay as they are. */
  async close(): Promise<void> {
    await this.#loop.close();
    for (const { connection } of [...this.#waiting.values()].flat()) connection.close();
    this.#waiting.clear();
  }

  async #turn(spaceId: string, signal: AbortSignal): Promise<Outcome> {
    const { leases, store } = this.#options;
    const quietMs = this.#quietMs(spaceId);
    if (quietMs > 0) return { againAfterMs: quietMs };
    this.#takings.delete(spaceId);
    const space = await findSpaceById(store.read, spaceId);
    const wanted = space === undefined ? undefined : await this.#wanted(space);
    const rows = await listPoolComputers(store.read, spaceId);
    if (wanted === undefined || (wanted.count === 0 && rows.length === 0)) {
      await leases.release("pool", spaceId);
      return "done";
    }
    if (!(await leases.hold("pool", spaceId))) return "done";
    try {
      return await this.#fill(spaceId, wanted, signal);
    } catch (error) {
      if (!(error instanceof LeaseLost)) throw error;
      return { againAfterMs: 0 };
    }
  }

  /** How long the pool is left as it is. */
  #quietMs(spaceId: string): number {
    const takings = this.#takings.get(spaceId);
    if (takings === undefined) return 0;
    return Math.min(takings.last + QUIET_MS, takings.first + QUIET_MAX_MS) - performance.now();
  }

  async #fill(spaceId: string, wanted: Wanted, signal: AbortSignal): Promise<Outcome> {
    const { coldStarts, faults, leases, store } = this.#options;
    const rows = await listPoolComputers(store.read, spaceId);
    const kept: PoolComputer[] = [];
    for (const row of rows) {
      if (this.#taken.has(row.id)) continue;
      const fits = row.build_id === wanted.buildId && row.shape === wanted.shape && kept.length < wanted.count;
      if (fits && (await this.#isGood(row, wanted, signal))) kept.push(row);
      else if (!this.#taken.has(row.id)) await this.#discard(row.id);
    }
    // Whoever asks for a session goes before the filling of the pool: one computer at a time.
    if (kept.length >= wanted.count) return "done";
    const patienceMs = coldStarts.patienceMs();
    if (patienceMs > 0) {
      coldStarts.onEnd(() => this.#loop.wake(spaceId));
      return { againAfterMs: patienceMs };
    }
    const id = randomUUIDv7();
    const row = { id, space_id: spaceId, build_id: wanted.buildId, shape: wanted.shape };
    const record = () =>
      store.write(async (transaction) => {
        await leases.guard(transaction, "pool", spaceId);
        await insertPoolComputer(transaction, row);
      });
    await faults.around("pool_record", record);
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
    const { driver, store } = this.#options;
    const { status } = await driver.observe(row.id);
    if (status !== "running") return false;
    if (this.#waiting.get(row.space_id)?.some(({ id }) => id === row.id) === true) return true;
    // It may have been taken since the rows were read, and be a session's by now.
    if ((await findPoolComputer(store.read, row.id)) === undefined || this.#taken.has(row.id)) return false;
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
    const { build_id: buildId, id, shape, space_id: spaceId } = row;
    const waiting = this.#waiting.get(spaceId) ?? [];
    this.#waiting.set(spaceId, waiting);
    waiting.push({ id, spaceId, buildId, shape, limits: spec.limits, connection, containerId, volumeId });
    this.#options.log.debug({ computer: id, space: spaceId, count: waiting.length }, "a computer waits in the pool");
  }
}
