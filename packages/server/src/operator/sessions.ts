import { isRaworcError, RaworcError } from "@raworc/contract";
import type { Logger } from "pino";
import { planSession } from "../domain/session-plan.ts";
import { DriverError, type ObservedComputer, type RuntimeDriver } from "../runtime/driver.ts";
import { HostConnection } from "../runtime/host-connection.ts";
import { findSession, type StoredSession, updateSession } from "../store/sessions.ts";
import type { Store } from "../store/store.ts";
import type { Operations } from "../telemetry/operations.ts";
import type { ColdStarts } from "./cold-starts.ts";
import { Connections, type Lease } from "./connections.ts";
import type { Done, Errands } from "./errands.ts";
import type { Faults } from "./faults.ts";
import type { EnvironmentOf } from "./host-claim.ts";
import { KeyedLoop, type Outcome } from "./keyed-loop.ts";
import { LeaseLost, type Leases } from "./leases.ts";
import { failUnfinishedMessages } from "./message-ends.ts";
import type { SessionLog } from "./session-log.ts";
import { wakeSession } from "./session-requests.ts";
import { createSessionSteps, type SessionSteps, type SessionTurn } from "./session-steps.ts";
import type { Wakeups } from "./wakeups.ts";

/** Attempts to make a computer before the session goes to `error`. */
const ATTEMPTS_MAX = 4;
const STOP_GRACE_MS = 2000;

export interface SessionsOptions {
  readonly store: Store;
  readonly sessionLog: SessionLog;
  readonly wakeups: Wakeups;
  readonly leases: Leases;
  readonly errands: Errands;
  readonly driver: RuntimeDriver;
  readonly coldStarts: ColdStarts;
  readonly log: Logger;
  readonly faults: Faults;
  readonly operations?: Operations | undefined;
  readonly environmentOf: EnvironmentOf;
  /** Called when a session's computer is ready, so that waiting messages go on. */
  readonly onReady: (sessionId: string) => void;
  /** Called when a computer, whosever it was, has ended or was changed from outside. */
  readonly onLost: (id: string) => void;
  /** Called when nobody uses a session's computer any more. */
  readonly onUnused: (sessionId: string) => void;
  /** Called when a session's computer is gone for good: what it was made of may be needed no more. */
  readonly onRemoved?: ((spaceId: string) => void) | undefined;
}

/**
 * Drives sessions from what is recorded to what is there: observe, plan, execute, record. Of several servers, the one that
 * holds a session's lease does so; whatever is asked of another one's sessions here is passed on to it.
 */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #loop: KeyedLoop;
  readonly #steps: SessionSteps;
  readonly #connections: Connections;
  readonly #attempts = new Map<string, number>();
  /** Who waits for a session to have no running computer, or no computer at all. */
  readonly #endings = new Map<string, Set<(ended: boolean) => void>>();
  /** Ends the uses of computers that other servers keep awake. */
  readonly #guests = new Set<() => void>();

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#connections = new Connections(options.onUnused);
    this.#loop = new KeyedLoop({
      name: "sessions",
      log: options.log,
      concurrency: 8,
      turn: (id, signal) => this.#turn(id, signal),
    });
    this.#steps = createSessionSteps({
      ...options,
      connections: this.#connections,
      exclusive: (id, work) => this.#loop.exclusive(id, work),
    });
    options.wakeups.watch("session", (id) => this.#loop.wake(id));
    options.wakeups.watch("deletion", (id) => this.#loop.interrupt(id));
    options.leases.share("session", {
      onFree: (id) => this.#loop.wake(id),
      onLost: (id) => {
        this.#leave(id);
        this.#loop.interrupt(id);
      },
    });
    options.errands.serve("use", ({ subject }, signal) => this.#keepAwake(subject, signal));
    options.errands.serve("rest", ({ subject }, signal) => this.#tellOfEnd(subject, signal));
    options.errands.serve("limits", ({ subject }) => this.#tellOfLimits(subject));
  }

  /** Hears from the driver what becomes of computers. */
  begin(signal: AbortSignal): void {
    this.#options.driver.watch(({ id }) => {
      this.lost(id);
      this.#options.onLost(id);
    }, signal);
  }

  /** The record has changed. */
  wake(id: string): void {
    const { leases, wakeups } = this.#options;
    if (leases.holds("session", id)) this.#loop.wake(id);
    else wakeups.emit("session", id, undefined);
  }

  /** A deletion doesn't wait for a start that is under way. */
  interrupt(id: string): void {
    const { leases, wakeups } = this.#options;
    if (leases.holds("session", id)) this.#loop.interrupt(id);
    else wakeups.emit("deletion", id, undefined);
  }

  /** The computer may have died or been changed: forgets the connection and looks again. */
  lost(id: string): void {
    this.#connections.drop(id);
    this.#loop.wake(id);
  }

  /** A computer from the pool has its identity and environment, and its session is recorded. */
  adopt(id: string, connection: HostConnection): void {
    this.#connections.add(id, connection);
    this.#options.onReady(id);
  }

  /** What the agents of these sessions find in their environment has changed: it is handed over before the next use. */
  outdate(ids: readonly string[]): void {
    for (const id of ids) {
      if (this.#connections.outdate(id)) this.#loop.wake(id);
    }
  }

  /** Somebody uses the session's computer, or waits for it. */
  inUse(id: string): boolean {
    return this.#connections.inUse(id) || this.#connections.isAwaited(id);
  }

  /**
   * The right to use a session's computer, which is woken where it rests; it stays awake until the lease is released.
   * Rejects with RaworcError where the session is paused, in error or gone.
   */
  acquire(id: string, signal: AbortSignal): Promise<Lease> {
    return this.#options.leases.holds("session", id) ? this.#acquire(id, signal) : this.#visit(id, signal);
  }

  /** The connection to a computer that is awake and has its identity and environment as they are now. */
  connectionNow(id: string): HostConnection | undefined {
    return this.#connections.find(id);
  }

  /** A lease if the computer is ready at this moment, and this server's; for what may as well be left. */
  acquireNow(id: string): Lease | undefined {
    return this.#options.leases.holds("session", id) ? this.#connections.take(id) : undefined;
  }

  /** Resolves when the computer of a paused or deleted session runs no more, or with the signal. */
  async ended(id: string, signal: AbortSignal): Promise<void> {
    const { errands, leases } = this.#options;
    while (leases.holds("session", id)) if (await this.#ended(id, signal)) return;
    try {
      (await errands.ask("rest", id, signal)).end();
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Applies the recorded limits to the computer as it is; one that does not run gets them when it starts. */
  async applyLimits(id: string, signal: AbortSignal): Promise<void> {
    const { errands, leases } = this.#options;
    if (leases.holds("session", id)) await this.#applyLimits(id);
    else (await errands.ask("limits", id, signal)).end();
  }

  /** Ends the computer of a session whose host no longer does its work; it is started again by the next turn. */
  async restart(id: string): Promise<void> {
    this.#connections.drop(id);
    await this.#loop.exclusive(id, () => this.#options.driver.stop(id, STOP_GRACE_MS));
  }

  /** Computers stay as they are. */
  async close(): Promise<void> {
    await this.#loop.close();
    for (const end of [...this.#guests]) end();
    this.#connections.close();
  }

  async #acquire(id: string, signal: AbortSignal): Promise<Lease> {
    const lease = this.#connections.take(id);
    if (lease !== undefined) return lease;
    await this.#options.store.write((transaction) => wakeSession(transaction, id));
    const waiting = this.#connections.wait(id, signal);
    this.#loop.wake(id);
    return waiting;
  }

  /** The use of a computer that another server keeps awake meanwhile. It has been handed its identity by that one. */
  async #visit(id: string, signal: AbortSignal): Promise<Lease> {
    const { driver, errands } = this.#options;
    const errand = await errands.ask("use", id, signal);
    const connection = new HostConnection(driver.socketDirectory(id));
    const release = () => {
      if (!this.#guests.delete(release)) return;
      connection.close();
      errand.end();
    };
    this.#guests.add(release);
    return { connection, release };
  }

  async #keepAwake(id: string, signal: AbortSignal): Promise<Done | undefined> {
    if (!(await this.#isMine(id))) return undefined;
    const lease = await this.#acquire(id, signal);
    return { onEnd: () => lease.release() };
  }

  async #tellOfEnd(id: string, signal: AbortSignal): Promise<Done | undefined> {
    const session = await findSession(this.#options.store.read, id);
    if (session === undefined || session.desired === "removed") return {};
    if (!(await this.#isMine(id))) return undefined;
    return (await this.#ended(id, signal)) ? {} : undefined;
  }

  async #tellOfLimits(id: string): Promise<Done | undefined> {
    if (!(await this.#isMine(id))) return undefined;
    await this.#applyLimits(id);
    return {};
  }

  /** False when another server drives the session now. */
  #ended(id: string, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const endings = this.#endings.get(id) ?? new Set();
      this.#endings.set(id, endings);
      const done = (ended: boolean) => {
        endings.delete(done);
        if (endings.size === 0 && this.#endings.get(id) === endings) this.#endings.delete(id);
        signal.removeEventListener("abort", onAbort);
        resolve(ended);
      };
      const onAbort = () => done(true);
      endings.add(done);
      signal.addEventListener("abort", onAbort);
      if (signal.aborted) onAbort();
      this.#loop.wake(id);
    });
  }

  async #applyLimits(id: string): Promise<void> {
    const { driver, store } = this.#options;
    await this.#loop.exclusive(id, async () => {
      const session = await findSession(store.read, id);
      const { status } = await driver.observe(id);
      if (session === undefined || (status !== "running" && status !== "frozen")) return;
      await driver.changeLimits(id, session.limits);
    });
  }

  /** Another server drives the session now. */
  #leave(id: string): void {
    this.#options.errands.leave(id);
    this.#connections.drop(id);
    this.#connections.reject(id, new RaworcError("not_ready", "Another server has taken the session over; try again."));
    this.#end(id, false);
  }

  /**
   * Whether this server is the one to drive the session, which it takes when nobody does. A fork is made where its parent
   * is driven, whose computer stands still meanwhile.
   */
  async #isMine(id: string): Promise<boolean> {
    const { leases, store } = this.#options;
    if (leases.holds("session", id)) return true;
    const session = await findSession(store.read, id);
    if (session === undefined || session.desired === "removed") return false;
    if (!session.copied && session.parent_session_id !== null) {
      const parent = await findSession(store.read, session.parent_session_id);
      if (parent?.desired === "running" && !(await leases.hold("session", parent.id))) return false;
    }
    return leases.hold("session", id);
  }

  async #turn(id: string, signal: AbortSignal): Promise<Outcome> {
    if (!(await this.#isMine(id))) return "done";
    try {
      return await this.#drive(id, signal);
    } catch (error) {
      if (!(error instanceof LeaseLost)) throw error;
      this.#leave(id);
      return { againAfterMs: 0 };
    }
  }

  async #drive(id: string, signal: AbortSignal): Promise<Outcome> {
    const { driver, leases, store } = this.#options;
    const session = await findSession(store.read, id);
    if (session === undefined) {
      await leases.release("session", id);
      return "done";
    }
    const observed = this.#known(session) ?? (await driver.observe(id));
    const steps = planSession(session, {
      computer: observed.status,
      volume: observed.volumeId !== null,
      claimed: this.#connections.has(id),
    });
    const turn: SessionTurn = { session, signal, observed };
    const { faults, operations } = this.#options;
    if (steps.length > 0) operations?.begin("session", id, { steps: steps.join(" ") });
    try {
      for (const step of steps) await faults.around(step, () => this.#steps[step](turn));
      operations?.end("session", id, "done");
    } catch (error) {
      if (signal.aborted || isNoFault(error)) operations?.leave("session", id);
      else operations?.end("session", id, "failed", { error: error instanceof Error ? error.message : String(error) });
      if (signal.aborted || session.desired !== "running" || isNoFault(error)) throw error;
      return this.#failed(session, error);
    }
    this.#attempts.delete(id);
    return (await this.#settle(session)) ? "done" : { againAfterMs: 0 };
  }

  /** What need not be looked for. */
  #known(session: StoredSession): ObservedComputer | undefined {
    const { id, container_id: containerId, persistent_volume_id: volumeId } = session;
    const computer = { id, kind: "session", outOfMemory: false } as const;
    // Nothing was ever made for a new session.
    if (session.desired === "running" && !session.attempted) {
      return { ...computer, status: "absent", containerId: null, volumeId: null };
    }
    if (this.#connections.isResting(id)) return { ...computer, status: "frozen", containerId, volumeId };
    return undefined;
  }

  async #failed(session: StoredSession, error: unknown): Promise<Outcome> {
    const attempts = (this.#attempts.get(session.id) ?? 0) + 1;
    this.#attempts.set(session.id, attempts);
    const told =
      error instanceof DriverError ? error.describe() : error instanceof RaworcError ? error.message : undefined;
    const terminal = told !== undefined && !(error instanceof DriverError && error.transient);
    if (!terminal && attempts < ATTEMPTS_MAX) throw error;
    this.#attempts.delete(session.id);
    this.#options.log.error({ err: error, session: session.id }, "session failed");
    const reason = told ?? "The server failed; its log says why";
    const failed = await this.#options.sessionLog.write(async (transaction, append) => {
      await this.#options.leases.guard(transaction, "session", session.id);
      const current = await findSession(transaction, session.id);
      if (current === undefined || current.desired !== "running" || current.state === "paused") return false;
      await failUnfinishedMessages(transaction, append, session.id, { code: "computer_failed", message: reason });
      await updateSession(transaction, session.id, { state: "error", error: reason });
      await append(session.id, [{ type: "session.state", data: { state: "error", reason } }]);
      return true;
    });
    if (!failed) throw error;
    this.#connections.reject(session.id, new RaworcError("wrong_state", `The session is in error: ${reason}`));
    return "done";
  }

  /** Tells those who wait what has become of the computer. False when they still need it and it was put to rest. */
  async #settle(session: StoredSession): Promise<boolean> {
    const { id } = session;
    if (session.desired !== "running") {
      this.#connections.reject(id, new RaworcError("not_found", "The session was deleted"));
      this.#end(id);
    } else if (session.state === "error" || session.state === "paused") {
      this.#connections.reject(id, new RaworcError("wrong_state", `The session is in state ${session.state}`));
      this.#end(id);
    } else if (this.#connections.settle(id)) {
      this.#options.onReady(id);
    } else if (session.tier !== "active" && this.#connections.isAwaited(id)) {
      // The rest was decided upon while somebody came who needs the computer.
      await this.#options.store.write((transaction) => wakeSession(transaction, id));
      return false;
    }
    return true;
  }

  #end(id: string, ended = true): void {
    for (const done of [...(this.#endings.get(id) ?? [])]) done(ended);
  }
}

/** The store is away, or the session another server's: that says nothing of the session. */
function isNoFault(error: unknown): boolean {
  return error instanceof LeaseLost || isRaworcError(error, "not_ready");
}
