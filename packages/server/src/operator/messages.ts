import {
  AGENT_TIMEOUT_DEFAULT_S,
  type HostMessage,
  type HostMessageEnd,
  type HostMessageLine,
  isRaworcError,
} from "@raworc/contract";
import type { Logger } from "pino";
import { outsideOfCalls } from "../audit/audit-note.ts";
import { contentForAgent } from "../domain/addressing.ts";
import type { HostConnection } from "../runtime/host-connection.ts";
import { findBuild } from "../store/builds.ts";
import { countDeltas } from "../store/events.ts";
import {
  findMessage,
  findNextMessage,
  findRunningMessage,
  listSessionsWithWork,
  readHistory,
  type StoredMessage,
  updateMessage,
} from "../store/messages.ts";
import { findSession, type StoredSession, updateSession } from "../store/sessions.ts";
import type { Store, Transaction } from "../store/store.ts";
import { now } from "../store/time.ts";
import type { Operations } from "../telemetry/operations.ts";
import type { Lease } from "./connections.ts";
import { DeltaWriter } from "./delta-writer.ts";
import type { Faults } from "./faults.ts";
import { KeyedLoop, type Outcome } from "./keyed-loop.ts";
import { LeaseLost, type Leases } from "./leases.ts";
import { endMessage, endOfHost, failedBySystem, type MessageEnd } from "./message-ends.ts";
import type { Append, SessionLog } from "./session-log.ts";
import { recordPaused } from "./session-requests.ts";
import type { Sessions } from "./sessions.ts";
import type { Wakeups } from "./wakeups.ts";

/** Deliveries of one message that broke off before it is given up. The host runs it once, whatever their number. */
const DELIVERIES_MAX = 5;
/** What a running message gets to end when its session is to be paused. */
const PAUSE_GRACE_MS = 30_000;
/** The host ends a message at its time limit; if it has not after so much more, the host hangs. */
const HOST_GRACE_MS = 30_000;

export interface MessagesOptions {
  readonly store: Store;
  readonly sessionLog: SessionLog;
  readonly wakeups: Wakeups;
  readonly leases: Leases;
  readonly sessions: Sessions;
  readonly log: Logger;
  readonly faults: Faults;
  readonly operations?: Operations | undefined;
}

/** Hands each session's messages to its host, in order, one at a time, and records how each ends. */
export class Messages {
  readonly #options: MessagesOptions;
  readonly #loop: KeyedLoop;
  readonly #deliveries = new Map<string, number>();
  /** By session id: ends the running message of a session that is to be paused. */
  readonly #pauses = new Map<string, NodeJS.Timeout>();

  constructor(options: MessagesOptions) {
    this.#options = options;
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

  wake(sessionId: string): void {
    const { leases, wakeups } = this.#options;
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
    if (!(await this.#isMine(sessionId))) return "done";
    try {
      return await this.#handleAll(sessionId, signal);
    } catch (error) {
      if (!(error instanceof LeaseLost)) throw error;
      return { againAfterMs: 0 };
    }
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
      this.#deliveries.delete(message.id);
    }
  }

  /** False when nothing more can be done now: the session has failed or gone. */
  async #handle(session: StoredSession, message: StoredMessage, signal: AbortSignal): Promise<boolean> {
    const { operations } = this.#options;
    if (message.agent === null) {
      operations?.begin("message", message.id, { session: session.id });
      await this.#end(message, await this.#unaddressed(session));
      operations?.end("message", message.id, "done");
      return true;
    }
    const lease = await this.#acquire(message, signal);
    if (lease === undefined) return false;
    const { faults } = this.#options;
    try {
      const begin = () => this.#begin(message);
      if (message.status === "queued" && !(await faults.around("message_begin", begin))) return true;
      const waited = Date.now() - Date.parse(message.created_at);
      operations?.begin("message", message.id, { session: session.id, agent: message.agent, waited_ms: waited });
      const deliver = () => this.#deliver(lease.connection, session, message, signal);
      const end = await faults.around("message_deliver", deliver);
      await faults.around("message_end", () => this.#end(message, end));
      operations?.end("message", message.id, end.status, end.status === "failed" ? { code: end.error.code } : {});
      // The end is recorded, so the host's journal may forget it. Nothing depends on it being heard.
      const forget = () => lease.connection.forgetMessage(message.id, AbortSignal.timeout(10_000));
      faults.around("message_forget", forget).catch((error: unknown) => {
        this.#options.log.debug({ err: error, message: message.id }, "journal entry stays for now");
      });
      return true;
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
      await append(message.session_id, [
        ...(busy ? [{ type: "session.state" as const, data: { state: "busy" } }] : []),
        { type: "message.start", data: { message_id: message.id, agent: message.agent } },
      ]);
      return true;
    });
  }

  /** Brings the message to the host, or takes up the answer again, and gives its end. Throws to be repeated. */
  async #deliver(
    connection: HostConnection,
    session: StoredSession,
    message: StoredMessage,
    signal: AbortSignal,
  ): Promise<MessageEnd> {
    const { leases, log, sessions, store } = this.#options;
    const build = session.build_id === null ? undefined : await findBuild(store.read, session.build_id);
    const manifest = build?.agents.find((agent) => agent.name === message.agent)?.manifest ?? null;
    const limitMs = (manifest?.timeout_s ?? AGENT_TIMEOUT_DEFAULT_S) * 1000 + HOST_GRACE_MS;
    const deadline = AbortSignal.timeout(limitMs);
    const writer = new DeltaWriter(message, (work) => this.#record(session.id, work));
    try {
      // Line 0 tells of the start; each delta in the log is one line more.
      const resumed = message.status === "running";
      const from = resumed ? 1 + (await countDeltas(store.read, session.id, message.id)) : 1;
      const request = await this.#request(session, message);
      // A host that was told to forget a message would run it again.
      if (!(await leases.hold("session", session.id))) throw new LeaseLost("This server was silent for too long");
      const lines = connection.message(request, {
        from,
        signal: AbortSignal.any([signal, deadline]),
        onOpen: () => this.#passOnCancel(connection, message.id, signal),
      });
      const end = await this.#take(lines, writer);
      if (end !== undefined) return endOfHost(message, end);
      throw new Error("The host's answer broke off");
    } catch (error) {
      // Neither the store nor other servers say anything about this delivery.
      if (signal.aborted || error instanceof LeaseLost || isRaworcError(error, "not_ready")) throw error;
      const deliveries = (this.#deliveries.get(message.id) ?? 0) + 1;
      this.#deliveries.set(message.id, deliveries);
      if (deadline.aborted) {
        await sessions.restart(session.id);
      } else {
        sessions.lost(session.id);
      }
      if (deliveries < DELIVERIES_MAX) throw error;
      log.error({ err: error, message: message.id }, "message given up");
      return failedBySystem({
        code: "computer_failed",
        message: "The session computer could not be reached while the message ran; send it again if that is safe.",
      });
    }
  }

  /** A wish to cancel may have been recorded before the host knew of the message. */
  #passOnCancel(connection: HostConnection, messageId: string, signal: AbortSignal): void {
    const passOn = async (): Promise<void> => {
      const current = await findMessage(this.#options.store.read, messageId);
      if (current?.cancel_requested) await connection.cancelMessage(messageId, signal);
    };
    this.#options.faults.around("message_open", passOn).catch((error: unknown) => {
      if (!signal.aborted) this.#options.log.warn({ err: error, message: messageId }, "cancel not passed on");
    });
  }

  async #take(lines: AsyncIterable<HostMessageLine>, writer: DeltaWriter): Promise<HostMessageEnd | undefined> {
    try {
      for await (const line of lines) {
        if (line.type === "delta") await writer.add(line.text);
        else if (line.type === "end") return line;
      }
      return undefined;
    } finally {
      await writer.flush();
    }
  }

  async #request(session: StoredSession, message: StoredMessage): Promise<HostMessage> {
    const agent = message.agent ?? "";
    const history = await readHistory(this.#options.store.read, session.id, message.seq);
    return {
      message_id: message.id,
      agent,
      content: contentForAgent(message.content, agent),
      context: {
        session_id: session.id,
        space: session.space_name,
        message_id: message.id,
        timestamp: message.created_at,
        created_by: session.created_by,
        agent,
        history,
        metadata: message.metadata,
      },
    };
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

  async #end(message: StoredMessage, end: MessageEnd): Promise<void> {
    await this.#record(message.session_id, async (transaction, append) => {
      const current = await findMessage(transaction, message.id);
      if (current === undefined || (current.status !== "queued" && current.status !== "running")) return;
      const session = await findSession(transaction, message.session_id);
      const paused = session?.pause_requested_at != null;
      const cancelledByPause = paused && end.status === "cancelled";
      const told: MessageEnd = cancelledByPause ? { ...end, code: "paused", reason: "The session was paused" } : end;
      await endMessage(transaction, append, current, told);
      if (session === undefined || session.desired !== "running") return;
      if (paused) {
        this.#endPause(session.id);
        await recordPaused(transaction, append, session.id);
        return;
      }
      const next = await findNextMessage(transaction, session.id);
      const idle = session.state === "busy" && next === undefined;
      await updateSession(transaction, session.id, { last_activity_at: now(), ...(idle ? { state: "idle" } : {}) });
      if (idle) await append(session.id, [{ type: "session.state", data: { state: "idle" } }]);
    });
  }

  async #unaddressed(session: StoredSession): Promise<MessageEnd> {
    const build = session.build_id === null ? undefined : await findBuild(this.#options.store.read, session.build_id);
    const names = build?.agents.map((agent) => agent.name) ?? [];
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
