import type { NewEvent } from "../store/events.ts";
import type { HistoryEntry, StoredMessage } from "../store/messages.ts";
import type { StoredSession } from "../store/sessions.ts";

/** A message that was recorded as running, with its session as it is then; it is to be delivered now. */
export interface StartedMessage {
  readonly session: StoredSession;
  readonly message: StoredMessage;
  /** What is new to the host of the conversation before it, read in the same transaction. */
  readonly news: HistoryNews | undefined;
}

/** The entries of a session's history after one that its host keeps. */
export interface HistoryNews {
  readonly after: number;
  readonly entries: readonly HistoryEntry[];
}

/** What the log tells when a message starts to run; `isFirst` of those that make the session busy. */
export function startEvents(message: StoredMessage, isFirst: boolean): NewEvent[] {
  const start: NewEvent = { type: "message.start", data: { message_id: message.id, agent: message.agent } };
  return isFirst ? [{ type: "session.state", data: { state: "busy" } }, start] : [start];
}
