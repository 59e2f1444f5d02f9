import { AGENT_TIMEOUT_DEFAULT_S, type HostMessage, type HostMessageEnd, isRaworcError } from "@raworc/contract";
import type { Logger } from "pino";
import { contentForAgent } from "../domain/addressing.ts";
import type { HostConnection } from "../runtime/host-connection.ts";
import { countDeltas } from "../store/events.ts";
import { findMessage, readHistory, readHistorySince, type StoredMessage } from "../store/messages.ts";
import type { StoredSession } from "../store/sessions.ts";
import type { Store, Transaction } from "../store/store.ts";
import type { BuiltAgents } from "./built-agents.ts";
import { DeltaWriter } from "./delta-writer.ts";
import type { Faults } from "./faults.ts";
import { ForgetQueue } from "./forget-queue.ts";
import { LeaseLost, type Leases } from "./leases.ts";
import { endOfHost, failedBySystem, type MessageEnd } from "./message-ends.ts";
import type { HistoryNews } from "./message-start.ts";
import type { Append } from "./session-log.ts";
import type { Sessions } from "./sessions.ts";

/** Deliveries of one message that broke off before it is given up. The host runs it once, whatever their number. */
const DELIVERIES_MAX = 5;
/** The host ends a message at its time limit; if it has not after so much more, the host hangs. */
export const HOST_GRACE_MS = 30_000;

export interface MessageDeliveryOptions {
  readonly store: Store;
  readonly leases: Leases;
  readonly sessions: Sessions;
  readonly builtAgents: BuiltAgents;
  readonly log: Logger;
  readonly faults: Faults;
  /** One transaction of a session's log, written only while this server drives the session. */
  readonly record: (
    sessionId: string,
    work: (transaction: Transaction, append: Append) => Promise<void>,
  ) => Promise<void>;
}

export interface Delivery {
  readonly connection: HostConnection;
  readonly session: StoredSession;
  readonly message: StoredMessage;
  /** Whether a delivery before this one may have taken pieces of the answer. */
  readonly isResumed: boolean;
  /** Undefined where it is to be read. */
  readonly news: HistoryNews | undefined;
  readonly signal: AbortSignal;
}

/** Brings messages to their hosts and takes the answers. */
export class MessageDelivery {
  readonly #options: MessageDeliveryOptions;
  /** By message id. */
  readonly #brokenOff = new Map<string, number>();
  /** Number of the last entry of the history that a host keeps. */
  readonly #kept = new WeakMap<HostConnection, number>();
  readonly #forgettable: ForgetQueue;

  constructor(options: MessageDeliveryOptions) {
    this.#options = options;
    this.#forgettable = new ForgetQueue(options);
  }

  /** Number of the last entry of the history that a host keeps. */
  kept(connection: HostConnection): number | undefined {
    return this.#kept.get(connection);
  }

  /** The end of a message is recorded. */
  recorded(message: StoredMessage): void {
    this.#forgettable.add(message.session_id, message.id);
  }

  close(): void {
    this.#forgettable.close();
  }

  /** Brings the message to the host, or takes up the answer again, and gives its end. Throws to be repeated. */
  async deliver(delivery: Delivery): Promise<MessageEnd> {
    const { message, session, signal } = delivery;
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), await this.#limitMs(session, message));
    try {
      const end = await this.#exchange(delivery, AbortSignal.any([signal, deadline.signal]));
      if (end === undefined) throw new Error("The host's answer broke off");
      this.#brokenOff.delete(message.id);
      return endOfHost(message, end);
    } catch (error) {
      // Neither the store nor other servers say anything about this delivery.
      if (signal.aborted || error instanceof LeaseLost || isRaworcError(error, "not_ready")) throw error;
      return await this.#failed(delivery, error, deadline.signal.aborted);
    } finally {
      clearTimeout(timer);
    }
  }

  async #limitMs(session: StoredSession, message: StoredMessage): Promise<number> {
    const agents = await this.#options.builtAgents.of(session);
    const manifest = agents.find(({ name }) => name === message.agent)?.manifest;
    return (manifest?.timeout_s ?? AGENT_TIMEOUT_DEFAULT_S) * 1000 + HOST_GRACE_MS;
  }

  /** Undefined when the answer ends without saying how. */
  async #exchange(delivery: Delivery, signal: AbortSignal): Promise<HostMessageEnd | undefined> {
    const { connection, isResumed, message, session } = delivery;
    const { leases, record, store } = this.#options;
    // Line 0 tells of the start; each delta in the log is one line more.
    const from = isResumed ? 1 + (await countDeltas(store.read, session.id, message.id)) : 1;
    // Nobody knows what a host that may have the message already makes of its history.
    if (isResumed) this.#kept.delete(connection);
    const request = await this.#request(delivery);
    // A host that was told to forget a message would run it again.
    if (!(await leases.hold("session", session.id))) throw new LeaseLost("This server was silent for too long");
    const onOpen = () => {
      this.#forgettable.told(session.id, request.forget ?? []);
      const last = request.context.history.at(-1)?.seq ?? request.history_after;
      if (!isResumed && last !== undefined) this.#kept.set(connection, last);
      this.#passOnCancel(connection, message.id, delivery.signal);
    };
    const writer = new DeltaWriter(message, (work) => record(session.id, work));
    try {
      for await (const line of connection.message(request, { from, signal, onOpen })) {
        if (line.type === "delta") await writer.add(line.text);
        else if (line.type === "end") return line;
      }
      return undefined;
    } catch (error) {
      // A host that has begun anew has no history, and is given all of it.
      if (request.history_after === undefined || !isRaworcError(error, "conflict")) throw error;
      this.#kept.delete(connection);
      return await this.#exchange(delivery, signal);
    } finally {
      await writer.flush();
    }
  }

  async #failed({ message, session }: Delivery, error: unknown, hangs: boolean): Promise<MessageEnd> {
    const { log, sessions } = this.#options;
    const times = (this.#brokenOff.get(message.id) ?? 0) + 1;
    this.#brokenOff.set(message.id, times);
    if (hangs) await sessions.restart(session.id);
    else sessions.lost(session.id);
    if (times < DELIVERIES_MAX) throw error;
    this.#brokenOff.delete(message.id);
    log.error({ err: error, message: message.id }, "message given up");
    return failedBySystem({
      code: "computer_failed",
      message: "The session computer could not be reached while the message ran; send it again if that is safe.",
    });
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

  async #request(delivery: Delivery): Promise<HostMessage> {
    const { message, session } = delivery;
    const agent = message.agent ?? "";
    const news = await this.#news(delivery);
    const forget = this.#forgettable.of(session.id);
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
        history: [...(news?.entries ?? (await readHistory(this.#options.store.read, session.id, message.seq)))],
        metadata: message.metadata,
      },
      ...(news === undefined ? {} : { history_after: news.after }),
      ...(forget.length === 0 ? {} : { forget: [...forget] }),
    };
  }

  /** What the host has not yet of the history. Undefined where it is to get all of it. */
  async #news({ connection, message, news, session }: Delivery): Promise<HistoryNews | undefined> {
    const after = this.kept(connection);
    if (after === undefined || news?.after === after) return after === undefined ? undefined : news;
    const entries = await readHistorySince(this.#options.store.read, session.id, after, message.seq);
    return entries === undefined ? undefined : { after, entries };
  }
}
