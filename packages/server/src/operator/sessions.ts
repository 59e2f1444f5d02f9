import { type HostAgent, RaworcError } from "@raworc/contract";
import type { Logger } from "pino";
import { planSession, type SessionStep } from "../domain/session-plan.ts";
import type { BuildReference, ComputerSpec, ObservedComputer, RuntimeDriver } from "../runtime/driver.ts";
import { DriverError } from "../runtime/driver.ts";
import { HostConnection } from "../runtime/host-connection.ts";
import { findBuild, type StoredBuild } from "../store/builds.ts";
import { findSession, listLiveSessionIds, type StoredSession, updateSession } from "../store/sessions.ts";
import { getSpaceById } from "../store/spaces.ts";
import type { Store } from "../store/store.ts";
import { now } from "../store/time.ts";
import { agentsOfBuild, referenceOfBuild } from "./build-reference.ts";
import { KeyedLoop, type Outcome } from "./keyed-loop.ts";
import { failUnfinishedMessages } from "./message-ends.ts";
import type { SessionLog } from "./session-log.ts";

/** Attempts to make a computer before the session goes to `error`. */
const ATTEMPTS_MAX = 4;
const STOP_GRACE_MS = 2000;
/** How long a deletion of a space waits for the computers of its sessions. */
const REMOVAL_WAIT_MS = 30_000;

export interface SessionsOptions {
  readonly store: Store;
  readonly sessionLog: SessionLog;
  readonly driver: RuntimeDriver;
  readonly log: Logger;
  /** Environment that the server's configuration hands to sessions: certificates, mirrors. */
  readonly environment: Readonly<Record<string, string>>;
  /** Called when a session's computer is ready, so that waiting messages go on. */
  readonly onReady: (sessionId: string) => void;
}

interface Waiter {
  readonly resolve: (connection: HostConnection) => void;
  readonly reject: (error: unknown) => void;
}

/** What a turn works with; steps change `observed` as the world changes. */
interface Turn {
  readonly session: StoredSession;
  readonly signal: AbortSignal;
  observed: ObservedComputer;
}

/** Drives sessions from what is recorded to what is there: observe, plan, execute, record. */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #loop: KeyedLoop;
  /** Computers that were handed their identity by this server and have answered since. */
  readonly #connections = new Map<string, HostConnection>();
  readonly #waiters = new Map<string, Set<Waiter>>();
  readonly #attempts = new Map<string, number>();

  readonly #executors: Record<SessionStep, (turn: Turn) => Promise<void>> = {
    record_attempt: ({ session }) => this.#record(session.id, { attempted: true }),
    start: async (turn) => {
      turn.observed = await this.#options.driver.start(await this.#spec(turn.session), turn.signal);
    },
    thaw: ({ session }) => this.#options.driver.thaw(session.id),
    claim: (turn) => this.#claim(turn),
    record_ready: (turn) => this.#recordReady(turn),
    remove: async ({ session }) => {
      this.#disconnect(session.id);
      await this.#options.driver.remove(session.id, { volume: true });
    },
    record_removed: ({ session }) => this.#record(session.id, { desired: "removed", container_id: null }),
  };

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#loop = new KeyedLoop({
      name: "sessions",
      log: options.log,
      concurrency: 8,
      turn: (id, signal) => this.#turn(id, signal),
    });
  }

  /** Looks at everything once: takes up what runs, goes on with what was begun, removes what no record owns. */
  async begin(signal: AbortSignal): Promise<void> {
    const { driver, log, store } = this.#options;
    driver.watch(({ id }) => this.lost(id), signal);
    const live = new Set(await listLiveSessionIds(store.read));
    for (const computer of await driver.list()) {
      if (computer.kind !== "session" || live.has(computer.id)) continue;
      log.info({ session: computer.id }, "removing a computer that no session owns");
      await driver.remove(computer.id, { volume: true });
    }
    for (const id of live) this.#loop.wake(id);
  }

  /** The record has changed. */
  wake(id: string): void {
    this.#loop.wake(id);
  }

  /** A deletion doesn't wait for a start that is under way. */
  interrupt(id: string): void {
    this.#loop.interrupt(id);
  }

  /** The computer may have died or been changed: forgets the connection and looks again. */
  lost(id: string): void {
    this.#disconnect(id);
    this.#loop.wake(id);
  }

  /** Connection to a computer that is known to be ready, without waiting. */
  connection(id: string): HostConnection | undefined {
    return this.#connections.get(id);
  }

  /** The connection to a session's computer, when it is ready. Rejects when the session fails or goes. */
  ready(id: string, signal: AbortSignal): Promise<HostConnection> {
    const connection = this.#connections.get(id);
    if (connection !== undefined) return Promise.resolve(connection);
    if (signal.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const waiters = this.#waiters.get(id) ?? new Set();
      this.#waiters.set(id, waiters);
      const leave = () => {
        waiters.delete(waiter);
        signal.removeEventListener("abort", onAbort);
      };
      const onAbort = () => {
        leave();
        reject(signal.reason);
      };
      const waiter: Waiter = {
        resolve: (found) => {
          leave();
          resolve(found);
        },
        reject: (error) => {
          leave();
          reject(error);
        },
      };
      waiters.add(waiter);
      signal.addEventListener("abort", onAbort);
      this.#loop.wake(id);
    });
  }

  /** Resolves when nothing real is left of a deleted session. */
  async removed(id: string): Promise<void> {
    await this.ready(id, AbortSignal.timeout(REMOVAL_WAIT_MS)).catch(() => undefined);
  }

  /** Ends the computer of a session whose host no longer does its work; it is started again by the next turn. */
  async restart(id: string): Promise<void> {
    this.#disconnect(id);
    await this.#options.driver.stop(id, STOP_GRACE_MS);
    this.#loop.wake(id);
  }

  /** Computers stay as they are. */
  async close(): Promise<void> {
    await this.#loop.close();
    for (const id of [...this.#connections.keys()]) this.#disconnect(id);
  }

  async #turn(id: string, signal: AbortSignal): Promise<Outcome> {
    const { driver, store } = this.#options;
    const session = await findSession(store.read, id);
    if (session === undefined) return "done";
    // Nothing was ever made for a new session, so there is nothing to look for.
    const fresh = session.desired === "running" && !session.attempted;
    const observed = fresh ? absent(id) : await driver.observe(id);
    const steps = planSession(session, {
      computer: observed.status,
      volume: observed.volumeId !== null,
      claimed: this.#connections.has(id),
    });
    const turn: Turn = { session, signal, observed };
    try {
      for (const step of steps) await this.#executors[step](turn);
    } catch (error) {
      if (signal.aborted || session.desired !== "running") throw error;
      return this.#failed(session, error);
    }
    this.#attempts.delete(id);
    this.#settle(session);
    return "done";
  }

  async #failed(session: StoredSession, error: unknown): Promise<Outcome> {
    const attempts = (this.#attempts.get(session.id) ?? 0) + 1;
    this.#attempts.set(session.id, attempts);
    const terminal = error instanceof DriverError && !error.transient;
    if (!terminal && attempts < ATTEMPTS_MAX) throw error;
    this.#attempts.delete(session.id);
    this.#options.log.error({ err: error, session: session.id }, "session failed");
    const reason = error instanceof DriverError || error instanceof RaworcError ? error.message : "The server failed";
    const failed = await this.#options.sessionLog.write(async (transaction, append) => {
      const current = await findSession(transaction, session.id);
      if (current === undefined || current.desired !== "running") return false;
      await failUnfinishedMessages(transaction, append, session.id, { code: "computer_failed", message: reason });
      await updateSession(transaction, session.id, { state: "error", error: reason });
      await append(session.id, [{ type: "session.state", data: { state: "error", reason } }]);
      return true;
    });
    if (failed) this.#reject(session.id, new RaworcError("wrong_state", `The session is in error: ${reason}`));
    return "done";
  }

  /** Tells those who wait for the computer what has become of it. */
  #settle(session: StoredSession): void {
    const connection = this.#connections.get(session.id);
    if (connection !== undefined && session.desired === "running") {
      for (const waiter of [...(this.#waiters.get(session.id) ?? [])]) waiter.resolve(connection);
      this.#options.onReady(session.id);
    } else if (session.desired !== "running") {
      this.#reject(session.id, new RaworcError("not_found", "The session was deleted"));
    } else if (session.state === "error" || session.state === "paused") {
      this.#reject(session.id, new RaworcError("wrong_state", `The session is in state ${session.state}`));
    }
    if (this.#waiters.get(session.id)?.size === 0) this.#waiters.delete(session.id);
  }

  #reject(id: string, error: RaworcError): void {
    for (const waiter of [...(this.#waiters.get(id) ?? [])]) waiter.reject(error);
    this.#waiters.delete(id);
  }

  #disconnect(id: string): void {
    this.#connections.get(id)?.close();
    this.#connections.delete(id);
  }

  async #record(id: string, change: Parameters<typeof updateSession>[2]): Promise<void> {
    await this.#options.store.write((transaction) => updateSession(transaction, id, change));
  }

  async #build(session: StoredSession): Promise<StoredBuild | undefined> {
    return session.build_id === null ? undefined : findBuild(this.#options.store.read, session.build_id);
  }

  async #spec(session: StoredSession): Promise<ComputerSpec> {
    const build = await this.#build(session);
    const reference: BuildReference | null = build === undefined ? null : referenceOfBuild(build);
    const space = await getSpaceById(this.#options.store.read, session.space_id);
    return {
      id: session.id,
      kind: "session",
      spaceId: session.space_id,
      limits: session.limits,
      network: session.network,
      root: space.settings.root ?? false,
      build: reference,
      mounts: [],
    };
  }

  async #claim({ session, signal }: Turn): Promise<void> {
    const build = await this.#build(session);
    const agents: readonly HostAgent[] = build === undefined ? [] : agentsOfBuild(build);
    const connection = new HostConnection(this.#options.driver.socketDirectory(session.id));
    try {
      const environment = { ...this.#options.environment };
      const claim = { session_id: session.id, space: session.space_name, environment, agents: [...agents] };
      await connection.claim(claim, signal);
    } catch (error) {
      connection.close();
      throw error;
    }
    this.#disconnect(session.id);
    this.#connections.set(session.id, connection);
  }

  async #recordReady({ session, observed }: Turn): Promise<void> {
    await this.#options.sessionLog.write(async (transaction, append) => {
      const current = await findSession(transaction, session.id);
      if (current?.state !== "init" || current.desired !== "running") return;
      await updateSession(transaction, session.id, {
        state: "idle",
        container_id: observed.containerId,
        persistent_volume_id: observed.volumeId,
        started_at: now(),
        error: null,
      });
      await append(session.id, [{ type: "session.state", data: { state: "idle" } }]);
    });
  }
}

function absent(id: string): ObservedComputer {
  return { id, kind: "session", status: "absent", containerId: null, volumeId: null, outOfMemory: false };
}
