import type { AgentOutcome } from "./agent-outcome.ts";
import { isDiskFull } from "./disk-full.ts";
import type { JournalEntry } from "./journal-entry.ts";
import type { LogFolder } from "./log-folder.ts";
import { MessageLog } from "./message-log.ts";
import { Reply } from "./reply.ts";

/** One message on its way from start to end: the lines of its answer, its reply, its log files. */
export class MessageRun {
  readonly #entry: JournalEntry;
  readonly #startedAt: Date;
  readonly #clock = performance.now();
  #folder: LogFolder | undefined;
  #log: MessageLog | undefined;
  #reply: Reply | undefined;
  #pending = "";

  constructor(entry: JournalEntry, startedAt: Date) {
    this.#entry = entry;
    this.#startedAt = startedAt;
  }

  /** Throws DiskFullError. */
  start(): void {
    this.#entry.append({ type: "start", at: this.#startedAt.toISOString() });
  }

  /** Who gets the log closes it. */
  openLog(folder: LogFolder, agent: string): MessageLog {
    const log = new MessageLog(folder, agent, this.#startedAt);
    this.#folder = folder;
    this.#log = log;
    this.#reply = new Reply(log.stem);
    return log;
  }

  /** Pieces that come together become one line, at `flush`. Throws DiskFullError, ReplyTooLongError. */
  delta(text: string): void {
    this.#pending += this.#reply?.add(text) ?? "";
  }

  part(text: string): void {
    this.#reply?.add(text);
  }

  /** A disk that is full shows at the end. */
  flush(): void {
    if (this.#pending === "") return;
    const line = { type: "delta", text: this.#pending } as const;
    this.#pending = "";
    try {
      this.#entry.append(line);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      this.#entry.appendUnwritten(line);
    }
  }

  /** After the end: whoever asks for its logs finds them, and nobody has waited for it. */
  keepLog(): void {
    this.#log?.keep();
  }

  /** The last line, always. */
  end(outcome: AgentOutcome): void {
    this.flush();
    try {
      this.#entry.append(this.#endLine(outcome));
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      const message = "The session's disk is full: delete files below /session, or raise disk_mb.";
      this.#entry.appendUnwritten(this.#endLine({ status: "failed", code: "disk_full", message }));
    }
  }

  #endLine(outcome: AgentOutcome) {
    const reply = this.#reply;
    const content = reply?.end() ?? "";
    const file = reply?.file ?? null;
    if (file !== null) this.#folder?.add(file, reply?.bytes ?? 0);
    return {
      type: "end",
      status: outcome.status,
      content: outcome.status === "done" ? content : "",
      truncated: reply?.truncated ?? false,
      reply_file: file,
      duration_ms: Math.round((performance.now() - this.#clock) * 1000) / 1000,
      log_file: this.#log?.outputFile ?? null,
      error_log_file: this.#log?.errorFile ?? null,
      ...(outcome.status === "done" && outcome.tokens !== undefined ? { tokens: outcome.tokens } : {}),
      ...(outcome.status === "done" && outcome.cost !== undefined ? { cost: outcome.cost } : {}),
      ...(outcome.status === "failed" ? { error: { code: outcome.code, message: outcome.message } } : {}),
    } as const;
  }
}
