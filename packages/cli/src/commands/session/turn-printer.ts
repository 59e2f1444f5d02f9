import { formatDuration } from "../../durations.ts";
import type { Output } from "../../streams.ts";
import { cleanLine, cutText, TerminalText } from "../../terminal-text.ts";
import { type Turn, type TurnEnd, unstreamedPart } from "./conversation.ts";

/** More of a reply than this is not kept to be compared with its end. */
const COMPARED_MAX = 4 * 1024 * 1024;

/** Writes one answer as it comes. What agents say is never obeyed by a terminal. */
export class TurnPrinter {
  readonly #out: Output;
  readonly #labelled: boolean;
  #cleaner = new TerminalText();
  #streamed = "";
  #isOnNewLine = true;
  #hasBegun = false;

  /** Labelled for people: who speaks, tools, how long it took. Else the reply alone. */
  constructor(out: Output, options: { readonly labelled: boolean }) {
    this.#out = out;
    this.#labelled = options.labelled;
  }

  text(text: string, label = "Agent"): void {
    if (text === "") return;
    this.#begin(label);
    if (this.#streamed.length < COMPARED_MAX) this.#streamed += text;
    this.#write(text);
  }

  tool({ phase, name, detail }: Extract<Turn, { type: "tool" }>): void {
    if (!this.#labelled) return;
    this.#breakLine();
    const line = cutText(cleanLine(`${name} ${detail}`), Math.max(20, this.#out.columns - 6));
    this.#out.line(this.#out.paint("dim", `  ${phase === "start" ? "▸" : "✓"} ${line}`));
  }

  /** The rest of the reply, and what there is to say about the end. */
  end(end: TurnEnd): void {
    // A failure's reply is the system's, and tells what the error tells.
    const { reply, status } = end;
    if (reply !== null && status === "done") {
      const label = reply.role === "system" ? "System" : "Agent";
      const rest = this.#streamed.length >= COMPARED_MAX ? "" : unstreamedPart(this.#streamed, reply.content);
      if (rest === undefined) {
        this.#breakLine();
        this.#write(reply.content);
      } else if (rest === "" && !this.#hasBegun) this.#begin(label);
      else this.text(rest, label);
    }
    this.#write("", true);
    this.#breakLine();
    if (this.#labelled) this.#summarize(end);
  }

  /** Ends an answer of which no end will come. */
  abandon(): void {
    this.#write("", true);
    this.#breakLine();
  }

  #begin(label: string): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    if (!this.#labelled) return;
    this.#out.write(`${this.#out.paint(["bold", label === "System" ? "yellow" : "cyan"], `${label}:`)} `);
    this.#isOnNewLine = false;
  }

  #write(text: string, isLast = false): void {
    const shown = this.#out.isTerminal ? this.#cleaner.push(text) + (isLast ? this.#cleaner.end() : "") : text;
    if (shown === "") return;
    this.#out.write(shown);
    this.#isOnNewLine = shown.endsWith("\n");
  }

  #breakLine(): void {
    if (!this.#isOnNewLine) this.#out.line();
    else if (!this.#labelled && this.#hasBegun && this.#streamed === "") this.#out.line();
    this.#isOnNewLine = true;
  }

  #summarize({ error, reply, status }: TurnEnd): void {
    const out = this.#out;
    if (status === "cancelled") out.line(out.paint("yellow", `Cancelled${reasonOf(error?.message)}`));
    else if (status === "failed") {
      out.line(`${out.paint(["bold", "red"], "Failed:")} ${cleanLine(error?.message ?? "the agent failed")}`);
      if (error?.log) out.line(out.paint("dim", `  /session/${cleanLine(error.log)} has the details`));
    }
    const facts = factsOf(reply?.metadata ?? {});
    if (facts !== "") out.line(out.paint("dim", `  ${facts}`));
  }
}

function reasonOf(message: string | undefined): string {
  return message === undefined || /^cancelled/i.test(message) ? "" : `: ${cleanLine(message)}`;
}

/** Who answered, how long it took, what it cost: `poet · 1.2 s · 300 tokens`. */
function factsOf(metadata: Readonly<Record<string, unknown>>): string {
  const { agent, duration_ms: duration, tokens, cost, truncated, reply_file: file } = metadata;
  const facts = [
    typeof agent === "string" ? cleanLine(agent) : "",
    typeof duration === "number" ? formatDuration(duration) : "",
    typeof tokens === "number" ? `${tokens} tokens` : "",
    typeof cost === "number" ? `$${cost}` : "",
    truncated === true ? `cut; the whole is in ${cleanLine(String(file ?? "/session/logs"))}` : "",
  ];
  return facts.filter((fact) => fact !== "").join(" · ");
}
