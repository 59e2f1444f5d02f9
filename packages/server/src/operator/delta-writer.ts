import type { StoredMessage } from "../store/messages.ts";
import type { Transaction } from "../store/store.ts";
import type { Append } from "./session-log.ts";

/** One transaction of the session's log. */
type Write = (work: (transaction: Transaction, append: Append) => Promise<void>) => Promise<void>;

/** Pieces that wait for the running commit; above this many characters the reader waits too. */
const WAITING_MAX = 1024 * 1024;

/**
 * Writes the streamed pieces of one answer to the log. While a commit runs, further pieces collect and go into the next
 * one, so a fast agent costs few commits and a slow one is shown at once.
 */
export class DeltaWriter {
  readonly #message: StoredMessage;
  readonly #writeLog: Write;
  #waiting: string[] = [];
  #waitingLength = 0;
  #writing: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(message: StoredMessage, write: Write) {
    this.#message = message;
    this.#writeLog = write;
  }

  /** Resolves at once unless much is waiting. Throws what a write before has failed with. */
  async add(text: string): Promise<void> {
    this.#check();
    this.#waiting.push(text);
    this.#waitingLength += text.length;
    this.#writing ??= this.#write();
    if (this.#waitingLength > WAITING_MAX) await this.flush();
  }

  /** Resolves when all that was added is in the log. */
  async flush(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    this.#check();
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #write(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const texts = this.#waiting;
        this.#waiting = [];
        this.#waitingLength = 0;
        const { id, session_id } = this.#message;
        await this.#writeLog(async (_, append) => {
          await append(
            session_id,
            texts.map((text) => ({ type: "message.delta", data: { message_id: id, text } })),
          );
        });
      }
    } catch (error) {
      this.#failure = { error };
    } finally {
      this.#writing = undefined;
    }
  }
}
