import { HOST_FORGET_MAX } from "@raworc/contract";
import type { Logger } from "pino";
import type { Faults } from "./faults.ts";
import type { Sessions } from "./sessions.ts";

export interface ForgetQueueOptions {
  readonly sessions: Pick<Sessions, "acquireNow">;
  readonly log: Logger;
  readonly faults: Faults;
}

interface Waiting {
  ids: string[];
  timer: NodeJS.Timeout;
}

/** Milliseconds without a further message after which a host is told by a call of its own. */
const QUIET_MS = 2000;

/**
 * Messages whose ends are recorded, so that the journals of their hosts may forget them. Hosts are told with the next
 * message, or when none comes for a while. Nothing depends on it: what a host is never told stays in its journal.
 */
export class ForgetQueue {
  readonly #options: ForgetQueueOptions;
  /** By session id. */
  readonly #waiting = new Map<string, Waiting>();

  constructor(options: ForgetQueueOptions) {
    this.#options = options;
  }

  add(sessionId: string, messageId: string): void {
    const waiting = this.#waiting.get(sessionId);
    if (waiting === undefined) {
      const timer = setTimeout(() => this.#quiet(sessionId), QUIET_MS);
      this.#waiting.set(sessionId, { ids: [messageId], timer });
      return;
    }
    waiting.ids.push(messageId);
    if (waiting.ids.length > HOST_FORGET_MAX) waiting.ids.shift();
    waiting.timer.refresh();
  }

  /** What is to be told with a message. */
  of(sessionId: string): readonly string[] {
    return this.#waiting.get(sessionId)?.ids ?? [];
  }

  /** The host has been told of these, which came from `of`. */
  told(sessionId: string, ids: readonly string[]): void {
    const waiting = this.#waiting.get(sessionId);
    if (waiting === undefined || ids.length === 0) return;
    waiting.ids = waiting.ids.filter((id) => !ids.includes(id));
    if (waiting.ids.length === 0) this.#drop(sessionId, waiting);
  }

  close(): void {
    for (const [sessionId, waiting] of this.#waiting) this.#drop(sessionId, waiting);
  }

  #drop(sessionId: string, waiting: Waiting): void {
    clearTimeout(waiting.timer);
    this.#waiting.delete(sessionId);
  }

  #quiet(sessionId: string): void {
    const { faults, log } = this.#options;
    const tell = async (): Promise<void> => {
      const ids = this.of(sessionId);
      this.#waiting.delete(sessionId);
      const lease = this.#options.sessions.acquireNow(sessionId);
      try {
        await lease?.connection.forgetMessages(ids, AbortSignal.timeout(10_000));
      } finally {
        lease?.release();
      }
    };
    faults.around("message_forget", tell).catch((error: unknown) => {
      log.debug({ err: error, session: sessionId }, "journal entries stay for now");
    });
  }
}
