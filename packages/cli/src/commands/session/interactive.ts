import { ApiError, type Client, ConnectionError } from "@raworc/client";
import type { Context } from "../../context.ts";
import { reportError } from "../../report.ts";
import { Spinner } from "../../spinner.ts";
import { cleanLine } from "../../terminal-text.ts";
import type { Conversation } from "./conversation.ts";
import { LineEditor } from "./line-editor.ts";
import { runSlashCommand, type Talk } from "./slash-commands.ts";
import { TurnPrinter } from "./turn-printer.ts";

const WAITING = "Waiting for agent response...";

export interface InteractiveOptions {
  readonly keep: boolean;
  /** Aborted when the terminal goes away or somebody ends the process. */
  readonly signal: AbortSignal;
}

/** Talks with a person until he has had enough. Gives whether the session is to be kept. */
export async function talkWithPerson(
  context: Context,
  client: Client,
  conversation: Conversation,
  options: InteractiveOptions,
): Promise<boolean> {
  const talk: Talk = { context, client, conversation, keep: options.keep, ended: false };
  const run = new InteractiveRun(talk);
  const end = (): void => run.end();
  options.signal.addEventListener("abort", end, { once: true });
  if (options.signal.aborted) end();
  try {
    await greet(talk);
    await run.loop();
  } finally {
    options.signal.removeEventListener("abort", end);
    run.end();
  }
  return talk.keep;
}

async function greet({ context, conversation, keep }: Talk): Promise<void> {
  const { out } = context.streams;
  const { id, name, space } = conversation.session;
  const agents = await conversation.agents();
  out.line(`Session ${out.paint("bold", id)}${name === null ? "" : ` ${cleanLine(name)}`} in the space ${space}`);
  if (agents.length > 0) {
    const how = agents.length > 1 ? "; say which: @name …" : "";
    out.line(`Agents: ${agents.join(", ")}${how}`);
  } else {
    out.line(
      out.paint(
        "yellow",
        "There are no agents in it yet. Register one: raworc create agent NAME --source-repo owner/repo",
      ),
    );
  }
  out.line(out.paint("dim", `/help lists the commands, /quit ends${keep ? "" : " and deletes the session"}`));
  out.line();
}

class InteractiveRun {
  readonly #talk: Talk;
  readonly #editor: LineEditor;
  readonly #spinner: Spinner;
  /** Ctrl-C since the last message or line. */
  #interrupts = 0;
  #answering = false;
  #leave: (() => void) | undefined;

  constructor(talk: Talk) {
    this.#talk = talk;
    this.#spinner = new Spinner(talk.context.streams.out, talk.context.config);
    this.#editor = new LineEditor(talk.context.streams, () => this.#interrupt());
  }

  async loop(): Promise<void> {
    while (!this.#talk.ended) {
      const line = await this.#editor.ask();
      this.#interrupts = 0;
      if (line === undefined) return;
      if (line.trim() === "") continue;
      try {
        if (!(await runSlashCommand(this.#talk, line))) await this.#converse(line);
      } catch (error) {
        this.#spinner.stop();
        // A session that is gone, or a login that has ended, is the end of the talk.
        if (error instanceof ApiError && (error.status === 401 || error.status === 404)) throw error;
        if (!(error instanceof ApiError || error instanceof ConnectionError)) throw error;
        reportError(error, this.#talk.context.streams.err);
      }
    }
  }

  end(): void {
    this.#talk.ended = true;
    this.#spinner.stop();
    this.#editor.close();
    this.#leave?.();
  }

  async #converse(line: string): Promise<void> {
    const { context, conversation } = this.#talk;
    const printer = new TurnPrinter(context.streams.out, { labelled: true });
    const turns = conversation.send(line);
    const left = new Promise<"left">((resolve) => {
      this.#leave = () => resolve("left");
    });
    this.#answering = true;
    this.#spinner.start(WAITING);
    try {
      for (;;) {
        const next = turns.next();
        const result = await Promise.race([next, left]);
        if (result === "left") {
          next.catch(() => undefined);
          this.#spinner.stop();
          printer.abandon();
          return;
        }
        if (result.done === true) return;
        const turn = result.value;
        if (turn.type === "start") {
          if (turn.agent !== null && this.#interrupts === 0)
            this.#spinner.start(`${WAITING} (${cleanLine(turn.agent)})`);
          continue;
        }
        this.#spinner.stop();
        await context.streams.out.drained();
        if (turn.type === "text") printer.text(turn.text);
        else if (turn.type === "tool") {
          printer.tool(turn);
          if (turn.phase === "start") this.#spinner.start(WAITING);
        } else {
          printer.end(turn);
          context.streams.out.line();
        }
      }
    } finally {
      this.#answering = false;
      this.#spinner.stop();
    }
  }

  /** Once: the message that runs is cancelled, or the line is dropped. Twice: the end. */
  #interrupt(): void {
    if (!this.#answering && this.#editor.isAsking && this.#editor.clear()) return;
    this.#interrupts += 1;
    if (this.#interrupts > 1) {
      this.end();
      return;
    }
    if (!this.#answering) {
      this.#editor.say(this.#talk.context.streams.out.paint("dim", "Ctrl-C again ends, like /quit."));
      return;
    }
    if (this.#spinner.isSpinning) this.#spinner.start("Cancelling...");
    this.#talk.conversation.cancel().then(
      (hasBegun) => {
        if (hasBegun || !this.#answering) return;
        this.#interrupts = 1;
        if (this.#spinner.isSpinning)
          this.#spinner.start("The message has not begun yet; Ctrl-C again ends, like /quit");
      },
      (error: unknown) => reportError(error, this.#talk.context.streams.err),
    );
  }
}
