import type { Message, MessageEndData, MessageWithReply, SessionEvent, SessionState } from "@raworc/contract";
import { RaworcError } from "@raworc/contract";
import { findMessage, findReply, presentMessage } from "../store/messages.ts";
import { findSession } from "../store/sessions.ts";
import type { Store } from "../store/store.ts";
import type { SessionLog } from "./session-log.ts";
import type { Wakeups } from "./wakeups.ts";

/**
 * Waits for the reply to a message. It listens from before the message is recorded, so nothing has to be read that was told
 * meanwhile. Giving up costs nothing: the message goes on.
 */
export class ReplyWait {
  readonly #store: Store;
  readonly #stop: () => void;
  /** Ends that were told since, by message id. */
  readonly #ends = new Map<string, MessageEndData>();
  /** Something may have been missed: what is recorded says. */
  #isUnsure: boolean;
  #wake: (() => void) | undefined;

  /** `isKnown` where the message may have been there, and ended, before. */
  constructor(store: Store, wakeups: Wakeups, sessionId: string, isKnown: boolean) {
    this.#store = store;
    this.#isUnsure = isKnown;
    this.#stop = wakeups.on("events", sessionId, (events) => this.#hear(events));
  }

  /** The message with its reply. Rejects with `not_ready` when the signal ends the wait. */
  async reply(message: Message, signal: AbortSignal): Promise<MessageWithReply> {
    const onAbort = () => this.#wake?.();
    signal.addEventListener("abort", onAbort);
    try {
      while (!signal.aborted) {
        const end = this.#ends.get(message.id);
        if (end !== undefined) {
          return { message: { ...message, status: end.status, error: end.error ?? null }, reply: end.reply };
        }
        if (this.#isUnsure) {
          this.#isUnsure = false;
          const recorded = await this.#recorded(message.id);
          if (recorded !== undefined) return recorded;
          continue;
        }
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
    throw new RaworcError("not_ready", "The server is stopping; the message goes on, read its reply later.");
  }

  /** Idempotent. */
  close(): void {
    this.#stop();
  }

  #hear(events: readonly SessionEvent[] | undefined): void {
    if (events === undefined) this.#isUnsure = true;
    for (const { data, type } of events ?? []) {
      if (type !== "message.end") continue;
      const end = data as unknown as MessageEndData;
      this.#ends.set(end.message_id, end);
    }
    this.#wake?.();
  }

  /** Undefined while the message has no end. */
  async #recorded(messageId: string): Promise<MessageWithReply | undefined> {
    const message = await findMessage(this.#store.read, messageId);
    if (message === undefined) throw new RaworcError("not_found", "The message was deleted.");
    if (message.status === "queued" || message.status === "running") return undefined;
    const reply = await findReply(this.#store.read, message);
    return { message: presentMessage(message), reply: reply === undefined ? null : presentMessage(reply) };
  }
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
