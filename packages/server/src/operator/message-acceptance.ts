import { type CreateMessage, type Message, RaworcError } from "@raworc/contract";
import { addresseeOf } from "../domain/addressing.ts";
import { findAgent } from "../store/agents.ts";
import type { NewEvent } from "../store/events.ts";
import {
  findNextMessage,
  insertMessage,
  presentMessage,
  readHistorySince,
  type StoredMessage,
} from "../store/messages.ts";
import { findSession, type StoredSession, updateSession } from "../store/sessions.ts";
import type { Transaction } from "../store/store.ts";
import type { BuiltAgents } from "./built-agents.ts";
import type { Faults } from "./faults.ts";
import type { Leases } from "./leases.ts";
import { type HistoryNews, type StartedMessage, startEvents } from "./message-start.ts";
import type { Messages } from "./messages.ts";
import { countMessage, requireRoomToRun } from "./quotas.ts";
import type { Append, SessionLog } from "./session-log.ts";
import { inError, resumeSession } from "./session-requests.ts";

export interface MessageAcceptanceOptions {
  readonly sessionLog: SessionLog;
  readonly leases: Leases;
  readonly messages: Messages;
  readonly builtAgents: BuiltAgents;
  readonly faults: Faults;
}

export interface AcceptedMessage {
  readonly message: Message;
  readonly started: StartedMessage | undefined;
}

/** Records messages of users. What was accepted has one end, whatever happens. */
export class MessageAcceptance {
  readonly #options: MessageAcceptanceOptions;

  constructor(options: MessageAcceptanceOptions) {
    this.#options = options;
  }

  /**
   * Records a message: its row and its event, and where its session waits for it with a computer that is ready, also its
   * start, which would be a commit of its own else. `foresee` is called in the transaction.
   */
  async accept(
    session: StoredSession,
    request: CreateMessage,
    foresee: (message: Message) => Message,
  ): Promise<AcceptedMessage> {
    const { builtAgents, faults, messages, sessionLog } = this.#options;
    const names = (await builtAgents.of(session)).map(({ name }) => name);
    const mayStart = messages.mayStart(session.id);
    const record = () =>
      sessionLog.write(async (transaction, append) => {
        const accepted = await this.#record(transaction, append, session.id, request, names, mayStart);
        return { ...accepted, message: foresee(accepted.message) };
      });
    return mayStart ? faults.around("message_begin", record) : record();
  }

  async #record(
    transaction: Transaction,
    append: Append,
    sessionId: string,
    request: CreateMessage,
    names: readonly string[],
    mayStart: boolean,
  ): Promise<AcceptedMessage> {
    const session = await findSession(transaction, sessionId);
    if (session === undefined || session.state === "deleted") {
      throw new RaworcError("not_found", "The session was deleted.");
    }
    if (session.state === "error") throw inError(session);
    if (request.agent !== undefined) await requireAgent(transaction, session, names, request.agent);
    const agent = addresseeOf(request.content, request.agent, names) ?? null;
    const starts = mayStart && agent !== null && (await this.#canStart(transaction, session));
    const message = await insertMessage(transaction, {
      sessionId,
      role: "user",
      agent,
      inReplyTo: null,
      content: request.content,
      metadata: request.metadata,
      status: starts ? "running" : "queued",
    });
    await countMessage(transaction, session.space_id, message);
    const shown = presentMessage(message);
    const created: NewEvent = { type: "message.created", data: { ...shown, message_id: message.id } };
    if (starts) {
      await updateSession(transaction, sessionId, { state: "busy", last_activity_at: message.created_at });
      await append(sessionId, [created, ...startEvents(message, true)]);
      const news = await this.#news(transaction, message);
      return { message: shown, started: { message, session: { ...session, state: "busy" }, news } };
    }
    await wakeForMessage(transaction, append, session, message);
    await append(sessionId, [created]);
    return { message: shown, started: undefined };
  }

  /** The transaction has the pages of these messages at hand. */
  async #news(transaction: Transaction, { seq, session_id }: StoredMessage): Promise<HistoryNews | undefined> {
    const after = this.#options.messages.keptHistory(session_id);
    if (after === undefined) return undefined;
    const entries = await readHistorySince(transaction, session_id, after, seq);
    return entries === undefined ? undefined : { after, entries };
  }

  /** Whether nothing is before this message, and this server is the one to deliver it. */
  async #canStart(transaction: Transaction, session: StoredSession): Promise<boolean> {
    if (session.state !== "idle" || session.tier !== "active" || session.pause_requested_at !== null) return false;
    if (!(await this.#options.leases.isMine(transaction, "session", session.id))) return false;
    return (await findNextMessage(transaction, session.id)) === undefined;
  }
}

/** A message wakes a computer that rests, and ends a pause. */
async function wakeForMessage(
  transaction: Transaction,
  append: Append,
  session: StoredSession,
  message: StoredMessage,
): Promise<void> {
  if (session.state === "paused") return resumeSession(transaction, append, session);
  if (session.tier === "stopped") await requireRoomToRun(transaction, session.space_id);
  await updateSession(transaction, session.id, { tier: "active", last_activity_at: message.created_at });
}

async function requireAgent(
  transaction: Transaction,
  session: StoredSession,
  names: readonly string[],
  name: string,
): Promise<void> {
  const registered = await findAgent(transaction, session.space_id, name);
  if (registered?.stopped === true) {
    throw new RaworcError("agent_stopped", `The agent ${name} is stopped; deploy it to use it again.`);
  }
  if (names.includes(name)) return;
  const known = names.length === 0 ? "it has none" : `it has: ${names.join(", ")}`;
  throw new RaworcError("unknown_agent", `No agent ${name} in this session's build; ${known}.`, {
    errors: [{ path: "body.agent", message: "is no agent of this session's build" }],
  });
}
