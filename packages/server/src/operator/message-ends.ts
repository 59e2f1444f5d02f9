import type { FailureCode, HostMessageEnd, Message, MessageError } from "@raworc/contract";
import type { NewEvent } from "../store/events.ts";
import {
  insertMessage,
  listUnfinishedMessages,
  presentMessage,
  type StoredMessage,
  updateMessage,
} from "../store/messages.ts";
import type { Transaction } from "../store/store.ts";
import type { Append } from "./session-log.ts";

export interface Reply {
  readonly role: "agent" | "system";
  readonly agent: string | null;
  readonly content: string;
  readonly metadata: Message["metadata"];
}

export type MessageEnd =
  | { readonly status: "done"; readonly reply: Reply }
  | { readonly status: "failed"; readonly reply: Reply; readonly error: MessageError }
  | { readonly status: "cancelled"; readonly reason: string; readonly code?: FailureCode };

/** The one end of a message, within the transaction at hand: its status, its reply, and the event to append. */
export async function endMessage(transaction: Transaction, message: StoredMessage, end: MessageEnd): Promise<NewEvent> {
  const error: MessageError | null =
    end.status === "done"
      ? null
      : end.status === "failed"
        ? end.error
        : { code: end.code ?? "cancelled", message: end.reason, log: null };
  await updateMessage(transaction, message.id, { status: end.status, error });
  const reply =
    end.status === "cancelled"
      ? null
      : presentMessage(
          await insertMessage(transaction, {
            sessionId: message.session_id,
            role: end.reply.role,
            agent: end.reply.agent,
            inReplyTo: message.id,
            content: end.reply.content,
            metadata: end.reply.metadata,
            status: "done",
          }),
        );
  const data = { message_id: message.id, status: end.status, reply, ...(error === null ? {} : { error }) };
  return { type: "message.end", data };
}

/** The host's end in the words of the record. Its texts come out of a session: they are bounded by the connection. */
export function endOfHost(message: StoredMessage, end: HostMessageEnd): MessageEnd {
  if (end.status === "cancelled") return { status: "cancelled", reason: end.error?.message ?? "Cancelled" };
  const metadata: Message["metadata"] = {
    agent: message.agent,
    duration_ms: end.duration_ms,
    log_file: end.log_file,
    ...(end.tokens === undefined ? {} : { tokens: end.tokens }),
    ...(end.cost === undefined ? {} : { cost: end.cost }),
    ...(end.truncated ? { truncated: true, reply_file: end.reply_file } : {}),
  };
  if (end.status === "done") {
    return { status: "done", reply: { role: "agent", agent: message.agent, content: end.content, metadata } };
  }
  const code = end.error?.code ?? "handler_failed";
  const text = end.error?.message ?? "The agent failed without saying why";
  const hint = end.error_log_file === null ? "" : ` See ${end.error_log_file}.`;
  return {
    status: "failed",
    reply: { role: "system", agent: null, content: `${text}${hint}`, metadata: { ...metadata, code } },
    error: { code, message: text, log: end.error_log_file },
  };
}

/** A failure that is no agent's words: the system says so in the reply. */
export function failedBySystem(error: { readonly code: FailureCode; readonly message: string }): MessageEnd {
  return {
    status: "failed",
    reply: { role: "system", agent: null, content: error.message, metadata: { code: error.code } },
    error: { code: error.code, message: error.message, log: null },
  };
}

/** Gives each accepted message of a session that can't go on its end. */
export async function failUnfinishedMessages(
  transaction: Transaction,
  append: Append,
  sessionId: string,
  error: { readonly code: FailureCode; readonly message: string },
): Promise<void> {
  await endUnfinishedMessages(transaction, append, sessionId, failedBySystem(error));
}

export async function cancelUnfinishedMessages(
  transaction: Transaction,
  append: Append,
  sessionId: string,
  reason: string,
): Promise<void> {
  await endUnfinishedMessages(transaction, append, sessionId, { status: "cancelled", reason });
}

async function endUnfinishedMessages(
  transaction: Transaction,
  append: Append,
  sessionId: string,
  end: MessageEnd,
): Promise<void> {
  const events: NewEvent[] = [];
  for (const message of await listUnfinishedMessages(transaction, sessionId)) {
    events.push(await endMessage(transaction, message, end));
  }
  await append(sessionId, events);
}
