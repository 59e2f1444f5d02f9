import { MessageEndData, type MessageWithReply, RaworcError, type SessionState } from "@raworc/contract";
import { findMessage, presentMessage } from "../store/messages.ts";
import { findSession } from "../store/sessions.ts";
import type { Store } from "../store/store.ts";
import type { SessionLog } from "./session-log.ts";

/** Holds until a message has ended. Giving up costs nothing: the message goes on. */
export async function waitForReply(
  store: Store,
  sessionLog: SessionLog,
  sessionId: string,
  messageId: string,
  after: number,
  signal: AbortSignal,
): Promise<MessageWithReply> {
  for await (const event of sessionLog.follow(sessionId, after, signal)) {
    if (event.type !== "message.end" || event.data["message_id"] !== messageId) continue;
    const end = MessageEndData.parse(event.data);
    const message = await findMessage(store.read, messageId);
    if (message === undefined) break;
    return { message: presentMessage(message), reply: end.reply };
  }
  throw new RaworcError("not_ready", "The server is stopping; the message goes on, read its reply later.");
}

/** Holds until a session is in a state, or the signal ends the wait. */
export async function waitForState(
  store: Store,
  sessionLog: SessionLog,
  sessionId: string,
  reached: (state: SessionState) => boolean,
  signal: AbortSignal,
): Promise<void> {
  const session = await findSession(store.read, sessionId);
  if (session === undefined || reached(session.state)) return;
  for await (const event of sessionLog.follow(sessionId, session.last_event_id, signal)) {
    if (event.type === "session.state" && reached(event.data["state"] as SessionState)) return;
  }
}
