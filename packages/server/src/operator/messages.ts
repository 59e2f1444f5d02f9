import { isRaworcError } from "@raworc/contract";
import type { Logger } from "pino";
import { outsideOfCalls } from "../audit/audit-note.ts";
import {
  findMessage,
  findNextMessage,
  findRunningMessage,
  listSessionsWithWork,
  type StoredMessage,
  updateMessage,
} from "../store/messages.ts";
import { findSession, type StoredSession, updateSession } from "../store/sessions.ts";
import type { Store, Transaction } from "../store/store.ts";
import { now } from "../store/time.ts";
import type { Operations } from "../telemetry/operations.ts";
import type { BuiltAgents } from "./built-agents.ts";
import type { Lease } from "./connections.ts";
import type { Faults } from "./faults.ts";
import { KeyedLoop, type Outcome } from "./keyed-loop.ts";
import { LeaseLost, type Leases } from "./leases.ts";
import { type Delivery, HOST_GRACE_MS, MessageDelivery, type MessageDeliveryOptions } from "./message-delivery.ts";
import { endMessage, type MessageEnd } from "./message-ends.ts";
import { type StartedMessage, startEvents } from "./message-start.ts";
import type { Append, SessionLog } from "./session-log.ts";
import { recordPaused } from "./session-requests.ts";
import type { Sessions } from "./sessions.ts";
import type { Wakeups } from "./wakeups.ts";

/** What a running message gets to end when its session is to be paused. */
const PAUSE_GRACE_MS = 30_000;

export interface MessagesOptions {
  readonly store: Store;
  readonly sessionLog: SessionLog;
  readonly wakeups: Wakeups;
  readonly leases: Leases;
  readonly sessions: Sessions;
  readonly builtAgents: BuiltAgents;
  readonly log: Logger;
  readonly faults: Faults;
  readonly operations?: Operations | undefined;
}

/** Hands each session's messages to its host, in order, one at a time, and records how each ends. */
export class Messages {
  readonly #options: MessagesOptions;
  readonly #loop: KeyedLoop;
  readonly #delivery: MessageDelivery;
  /** By session id: what was recorded as running and is not yet in the hands of a turn. */
  readonly #started = new Map<string, StartedMessage>();
  /** By session id: ends the running message of a session that is to be paused. */
  readonly #pauses = new Map<string, NodeJS.Timeout>();
  #isClosing = false;

  constructor(options: MessagesOptions) {
    this.#options = options;
    const record: MessageDeliveryOptions["record"] = (sessionId, work) => this.#record(sessionId, work);
    this.#delivery = new MessageDelivery({ ...options, record });
    this.#loop = new KeyedLoop({
      name: "messages",
      log: options.log,
      concurrency: Number.POSITIVE_INFINITY,
      turn: (sessionId, signal) => this.#turn(sessionId, signal),
    });
    const { leases, wakeups } = options;
    wakeups.watch("messages", (id) => this.#loop.wake(id));
    wakeups.watch("deletion", (id) => this.#loop.interrupt(id));
    wakeups.watch("cancel", (id) => this.#whenHeld(id, () => this.#cancelRequested(id)));
    wakeups.watch("pause", (id) => this.#whenHeld(id, () => this.#pauseRequested(id)));
    leases.share("session", { onFree: (id) => this.#loop.wake(id), onLost: (id) => this.#leave(id) });
  }

  /** Goes on with all that waits. */
  async begin(): Promise<void> {
    for (const sessionId of await listSessionsWithWork(this.#options.store.read)) this.#loop.wake(sessionId);
  }

  /** Whether a message that is recorded now may be recorded as running: the computer waits for it, and is this server's. */
  mayStart(sessionId: string): boolean {
    const { leases, sessions } = this.#options;
    return !this.#isClosing && leases.holds("session", sessionId) && sessions.connectionNow(sessionId) !== undefined;
  }

  /** Number of the last message that the session's host has in the history that it keeps. */
  keptHistory(sessionId: string): number | undefined {
    const connection = this.#options.sessions.connectionNow(sessionId);
    return connection === undefined ? undefined : this.#delivery.kept(connection);
  }

  /** There are messages to handle, the one that was started first. */
  wake(sessionId: string, started?: StartedMessage): void {
    const { leases, wakeups } = this.#options;
    if (started !== undefined) this.#started.set(sessionId, started);
    if (leases.holds("session", sessionId)) this.#loop.wake(sessionId);
    else wakeups.emit("messages", sessionId, undefined);
  }

  /** The session was deleted: nobody waits for its answer any more. */
  interrupt(sessionId: string): void {
    const { leases, wakeups } = this.#options;
    if (leases.holds("session", sessionId)) this.#loop.interrupt(sessionId);
    else wakeups.emit("deletion", sessionId, undefined);
  }

  /** Passes a recorded wish to cancel on to the host. The message's end tells what became of it. */
  async cancel(sessionId: string, messageId: string, signal: AbortSignal): Promise<void> {
    const { leases, wakeups } = this.#options;
    if (leases.holds("session", sessionId)) await this.#cancel(sessionId, messageId, signal);
    else wakeups.emit("cancel", sessionId, undefined);
  }

  /** A busy session is to be paused since a time: its message gets what is left of the grace, then it is cancelled. */
  pause(sessionId: string, requestedAt: string): void {
    const { leases, wakeups } = this.#options;
    if (leases.holds("session", sessionId)) this.#pause(sessionId, requestedAt);
    else wakeups.emit("pause", sessionId, undefined);
  }

  async #cancel(sessionId: string, messageId: string, signal: AbortSignal): Promise<void> {
    const lease = this.#options.sessions.acquireNow(sessionId);
    try {
      await lease?.connection.cancelMessage(messageId, signal);
    } finally {
      lease?.release();
    }
  }

  /** What another server has recorded and told is done by the one that drives the session. */
  #whenHeld(sessionId: string, work: () => Promise<void>): void {
    if (!this.#options.leases.holds("session", sessionId)) return;
    outsideOfCalls(work).catch((error: unknown) => {
      this.#options.log.warn({ err: error, session: sessionId }, "a wish that another server took was not passed on");
    });
  }

  async #cancelRequested(sessionId: string): Promise<void> {
    const message = await findRunningMessage(this.#options.store.read, sessionId);
    if (message?.cancel_requested !== true) return;
    await this.#cancel(sessionId, message.id, AbortSignal.timeout(HOST_GRACE_MS));
  }

  async #pauseRequested(sessionId: string): Promise<void> {
    const session = await findSession(this.#options.store.read, sessionId);
    if (session?.pause_requested_at != null) this.#pause(sessionId, session.pause_requested_at);
  }

  /** This server was taken for gone. */
  #leave(sessionId: string): void {
    this.#endPause(sessionId);
    this.#loop.interrupt(sessionId);
  }

  #pause(sessionId: string, requestedAt: string): void {
    if (this.#pauses.has(sessionId)) return;
    const left = Math.max(0, Date.parse(requestedAt) + PAUSE_GRACE_MS - Date.now());
    const end = () => {
      this.#pauses.delete(sessionId);
      this.#cancelForPause(sessionId).catch((error: unknown) => {
        this.#options.log.warn({ err: error, session: sessionId }, "a message could not be cancelled for a pause");
      });
    };
    this.#pauses.set(sessionId, setTimeout(end, left));
  }

  /** Leaves off where it is: what runs goes on in the host and is fetched by the next server. */
  close(): Promise<void> {
    this.#isClosing = true;
    this.#delivery.close();
    for (const timer of this.#pauses.values()) clearTimeout(timer);
    this.#pauses.clear();
    return this.#loop.close();
  }

  async #cancelForPause(sessionId: string): Promise<void> {
    const { store } = this.#options;
    const message = await findRunningMessage(store.read, sessionId);
    if (message === undefined) return;
    await store.write((transaction) => updateMessage(transaction, message.id, { cancel_requested: true }));
    await this.#cancel(sessionId, message.id, AbortSignal.timeout(HOST_GRACE_MS));
  }

  async #turn(sessionId: string, signal: AbortSignal): Promise<Outcome> {
    const started = this.#takeStarted(sessionId);
    if (!(await this.#isMine(sessionId))) return "done";
    try {
      if (started !== undefined && !(await this.#handleStarted(started, signal))) return "done";
      return await this.#handleAll(sessionId, signal);
    } catch (error) {
      if (!(error instanceof LeaseLost)) throw error;
      return { againAfterMs: 0 };
    }
  }

  /** Undefined where another server may have driven the session since: then what is recorded says how far it came. */
  #takeStarted(sessionId: string): StartedMessage | undefined {
    const started = this.#started.get(sessionId);
    this.#started.delete(sessionId);
    return this.#options.leases.holds("session", sessionId) ? started : undefined;
  }

  /** Whether this server is the one to handle the session's messages, if there are any. */
  async #isMine(sessionId: string): Promise<boolean> {
    const { leases, store } = this.#options;
    if (leases.holds("session", sessionId)) return true;
    // What is read before the lease is held may be old by then: the turn reads it again.
    if ((await findNextMessage(store.read, sessionId)) === undefined) return false;
    return leases.hold("session", sessionId);
  }

  async #handleAll(sessionId: string, signal: AbortSignal): Promise<Outcome> {
    const { store } = this.#options;
    for (;;) {
      const message = await findNextMessage(store.read, sessionId);
      const session = await findSession(store.read, sessionId);
      if (message === undefined || session === undefined || !canWork(session)) return "done";
      if (session.pause_requested_at !== null) this.#pause(sessionId, session.pause_requested_at);
      if (!(await this.#handle(session, message, signal))) return "done";
    }
  }

  /** False when nothing more can be done now, or nothing is left to do. */
  async #handleStarted({ message, news, session }: StartedMessage, signal: AbortSignal): Promise<boolean> {
    const lease = await this.#acquire(message, signal);
    if (lease === undefined) return false;
    const { hasMore } = await this.#run(lease, { session, message, isResumed: false, news, signal });
    return hasMore;
  }

  /** False when nothing more can be done now: the session has failed or gone. */
  async #handle(session: StoredSession, message: StoredMessage, signal: AbortSignal): Promise<boolean> {
    const { faults, operations } = this.#options;
    if (message.agent === null) {
      operations?.begin("message", message.id, { session: session.id });
      await this.#end(message, await this.#unaddressed(session));
      operations?.end("message", message.id, "done");
      return true;
    }
    const lease = await this.#acquire(message, signal);
    if (lease === undefined) return false;
    const isResumed = message.status === "running";
    try {
      const begin = () => this.#begin(message);
      if (!isResumed && !(await faults.around("message_begin", begin))) return true;
    } catch (error) {
      lease.release();
      throw error;
    }
    await this.#run(lease, { session, message, isResumed, news: undefined, signal });
    return true;
  }

  /** Has a message that is recorded as running answered, and records its end. */
  async #run(lease: Lease, delivery: Omit<Delivery, "connection">): Promise<{ hasMore: boolean }> {
    const { message, session } = delivery;
    const { faults, operations } = this.#options;
    const { connection } = lease;
    try {
      const waited = Date.now() - Date.parse(message.created_at);
      operations?.begin("message", message.id, { session: session.id, agent: message.agent ?? "", waited_ms: waited });
      const deliver = () => this.#delivery.deliver({ ...delivery, connection });
      const end = await faults.around("message_deliver", deliver);
      const ended = await faults.around("message_end", () => this.#end(message, end));
      operations?.end("message", message.id, end.status, end.status === "failed" ? { code: end.error.code } : {});
      this.#delivery.recorded(message);
      return ended;
    } finally {
      operations?.leave("message", message.id);
      lease.release();
    }
  }

  /** Undefined when the session has failed or gone: whoever recorded that has ended the message too. */
  async #acquire(message: StoredMessage, signal: AbortSignal): Promise<Lease | undefined> {
    try {
      return await this.#options.sessions.acquire(message.session_id, signal);
    } catch (error) {
      if (isRaworcError(error) && error.code !== "not_ready") return undefined;
      throw error;
    }
  }

  /** Records that the message runs. False when it was ended meanwhile. */
  #begin(message: StoredMessage): Promise<boolean> {
    return this.#record(message.session_id, async (transaction, append) => {
      const current = await findMessage(transaction, message.id);
      const session = await findSession(transaction, message.session_id);
      if (current?.status !== "queued" || session === undefined || !canWork(session)) return false;
      await updateMessage(transaction, message.id, { status: "running" });
      const busy = session.state !== "busy";
      if (busy) await updateSession(transaction, session.id, { state: "busy" });
      await append(message.session_id, startEvents(message, busy));
      return true;
    });
  }

  /** Records what was done for a session. Throws LeaseLost, and writes nothing, when another server does that now. */
  #record<T>(sessionId: string, work: (transaction: Transaction, append: Append) => Promise<T>): Promise<T> {
    const { leases, sessionLog } = this.#options;
    return sessionLog.write(async (transaction, append) => {
      await leases.guard(transaction, "session", sessionId);
      return work(transaction, append);
    });
  }

  #endPause(sessionId: string): void {
    clearTimeout(this.#pauses.get(sessionId));
    this.#pauses.delete(sessionId);
  }

  /** Whether more messages wait, of a session whose messages are handled now. */
  #end(message: StoredMessage, end: MessageEnd): Promise<{ hasMore: boolean }> {
    return this.#record(message.session_id, async (transaction, append) => {
      const current = await findMessage(transaction, message.id);
      if (current === undefined || (current.status !== "queued" && current.status !== "running")) {
        return { hasMore: true };
      }
      const session = await findSession(transaction, message.session_id);
      const isPaused = session?.pause_requested_at != null;
      const isCancelledByPause = isPaused && end.status === "cancelled";
      const told: MessageEnd = isCancelledByPause ? { ...end, code: "paused", reason: "The session was paused" } : end;
      const ended = await endMessage(transaction, current, told);
      if (session === undefined || session.desired !== "running") {
        await append(message.session_id, [ended]);
        return { hasMore: false };
      }
      if (isPaused) {
        this.#endPause(session.id);
        await append(session.id, [ended]);
        await recordPaused(transaction, append, session.id);
        return { hasMore: false };
      }
      const hasMore = (await findNextMessage(transaction, session.id)) !== undefined;
      const rests = session.state === "busy" && !hasMore;
      await updateSession(transaction, session.id, { last_activity_at: now(), ...(rests ? { state: "idle" } : {}) });
      await append(session.id, rests ? [ended, { type: "session.state", data: { state: "idle" } }] : [ended]);
      return { hasMore };
    });
  }

  async #unaddressed(session: StoredSession): Promise<MessageEnd> {
    const names = (await this.#options.builtAgents.of(session)).map((agent) => agent.name);
    const content =
      names.length === 0
        ? "This session has no agents: register one in its space, wait for the build, and open a new session."
        : `Say who shall answer: start the message with @name, or set "agent". Agents here: ${names.join(", ")}.`;
    return { status: "done", reply: { role: "system", agent: null, content, metadata: {} } };
  }
}

/** Whether the session's messages are to be handled now. Those of a paused one wait. */
function canWork(session: StoredSession): boolean {
  return session.desired === "running" && session.state !== "paused" && session.state !== "error";
}
