import type { HostMessage } from "@raworc/contract";
import { AgentContextText } from "./agent-context.ts";
import { type AgentOutcome, failed } from "./agent-outcome.ts";
import type { Agents } from "./agents.ts";
import { Cancellation } from "./cancellation.ts";
import { isDiskFull } from "./disk-full.ts";
import { History } from "./history.ts";
import { logLine } from "./host-log.ts";
import type { Journal } from "./journal.ts";
import type { JournalEntry } from "./journal-entry.ts";
import { LogFolder } from "./log-folder.ts";
import { MessageRun } from "./message-run.ts";

/** What an agent gets of a message. */
interface Delivery extends Pick<HostMessage, "message_id" | "agent" | "content" | "forget"> {
  readonly context: AgentContextText;
}

/** Runs each message once, and knows what became of it. */
export class Messages {
  readonly #journal: Journal;
  readonly #agents: Agents;
  readonly #running = new Map<string, { readonly cancellation: Cancellation; readonly done: Promise<void> }>();
  /** The last message of each agent: one at a time. */
  readonly #queues = new Map<string, Promise<void>>();

  readonly #history = new History();
  readonly #logFolder = new LogFolder();
  #closing = false;

  constructor(journal: Journal, agents: Agents) {
    this.#journal = journal;
    this.#agents = agents;
  }

  /** What a host before left without an end died with it. It is not run again. */
  endAbandoned(): void {
    for (const entry of this.#journal.unfinished()) {
      const outcome = failed("agent_died", "The session computer stopped while the agent worked on the message.");
      new MessageRun(entry, new Date()).end(outcome);
      logLine("warn", "message was abandoned", { message: entry.id });
    }
  }

  find(id: string): JournalEntry | undefined {
    return this.#journal.entry(id);
  }

  /**
   * Starts a message that is not known; gives the answer of one that is. Throws RequestError when the message counts on a
   * history that is not kept here.
   */
  deliver(message: HostMessage): JournalEntry {
    const id = message.message_id;
    const known = this.#journal.entry(id);
    if (known !== undefined) return known;
    const { context, history_after: after } = message;
    const given = new AgentContextText(context, this.#history.take(context.history, after));
    const entry = this.#journal.create(id);
    const cancellation = new Cancellation();
    const before = this.#queues.get(message.agent);
    const done = this.#run(entry, { ...message, context: given }, before, cancellation).finally(() => {
      this.#running.delete(id);
      if (this.#queues.get(message.agent) === done) this.#queues.delete(message.agent);
    });
    this.#queues.set(message.agent, done);
    this.#running.set(id, { cancellation, done });
    return entry;
  }

  /** The end of the message tells what became of it. */
  cancel(id: string): void {
    this.#running.get(id)?.cancellation.cancel();
  }

  /** What still runs or is not known is passed over. */
  forgetEnded(ids: readonly string[]): void {
    this.#forget(ids);
    this.#journal.writeForgotten();
  }

  #forget(ids: readonly string[]): void {
    for (const id of ids) {
      const entry = this.#journal.entry(id);
      if (entry?.ended) this.#journal.forget(entry);
    }
  }

  /** From now on nothing is handed to an agent. */
  stop(): void {
    this.#closing = true;
  }

  /** Resolves when nothing runs any more. */
  async settled(): Promise<void> {
    await Promise.all([...this.#running.values()].map((run) => run.done));
  }

  /** Never throws. */
  async #run(
    entry: JournalEntry,
    message: Delivery,
    before: Promise<void> | undefined,
    cancellation: Cancellation,
  ): Promise<void> {
    const run = new MessageRun(entry, new Date());
    try {
      run.start();
      // What need not be waited for is not: then the agent has the message within the same turn.
      const noted = this.#journal.sync();
      if (noted !== undefined) await noted;
      if (before !== undefined) await before;
      run.end(await this.#work(run, message, cancellation));
    } catch (error) {
      const full = isDiskFull(error);
      if (!full) logLine("error", "message failed in the host", { message: entry.id, error: String(error) });
      run.end(
        full
          ? failed("disk_full", "The session's disk is full: delete files below /session, or raise disk_mb.")
          : failed("server_error", "The session's host failed; its log says why."),
      );
    }
    setImmediate(() => run.keepLog());
  }

  async #work(run: MessageRun, message: Delivery, cancellation: Cancellation): Promise<AgentOutcome> {
    if (cancellation.wished) return { status: "cancelled" };
    if (this.#closing) return failed("agent_died", "The session computer stopped before the agent got the message.");
    const log = run.openLog(this.#logFolder, message.agent);
    const handled = this.#agents.handle(message.agent, log, {
      messageId: message.message_id,
      content: message.content,
      context: message.context,
      onDelta: (text) => run.delta(text),
      onPart: (text) => run.part(text),
      onPause: () => run.flush(),
      cancellation,
    });
    // The agent works already, so nobody waits for this.
    if (message.forget !== undefined) this.#forget(message.forget);
    const outcome = await handled;
    if (log.diskFull) return failed("disk_full", "The session's disk is full: the agent's log could not be written.");
    return outcome;
  }
}
