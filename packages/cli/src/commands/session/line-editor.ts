import { createInterface, type Interface } from "node:readline";
import { Writable } from "node:stream";
import type { Streams } from "../../streams.ts";

const PROMPT = "You: ";

/**
 * The line that a person types, on a terminal that answers are written to as well. While nobody is asked, what is typed is
 * collected unseen and shown with the next prompt.
 */
export class LineEditor {
  readonly #streams: Streams;
  readonly #prompt: string;
  readonly #interface: Interface;
  readonly #lines: string[] = [];
  readonly #onInterrupt: () => void;
  #muted = true;
  #wake: (() => void) | undefined;
  #closed = false;

  constructor(streams: Streams, onInterrupt: () => void) {
    this.#streams = streams;
    this.#onInterrupt = onInterrupt;
    const { out } = streams;
    this.#prompt = out.paint(["bold", "green"], PROMPT.trimEnd()) + PROMPT.slice(PROMPT.trimEnd().length);
    const screen = new Writable({
      write: (chunk: Buffer, _, done) => {
        if (!this.#muted) out.write(chunk.toString("utf8"));
        done();
      },
    });
    // Readline asks its output for the width, to edit lines that wrap.
    Object.defineProperty(screen, "columns", { get: () => out.columns });
    Object.defineProperty(screen, "isTTY", { value: true });
    if (out.stream instanceof Writable) out.stream.on("resize", () => screen.emit("resize"));
    this.#interface = createInterface({
      input: streams.stdin,
      output: screen,
      terminal: true,
      prompt: this.#prompt,
      historySize: 1000,
    });
    this.#interface.on("line", (line) => this.#take(line));
    this.#interface.on("SIGINT", () => this.#onInterrupt());
    this.#interface.on("close", () => {
      if (this.isAsking) streams.out.line();
      this.#muted = true;
      this.#closed = true;
      this.#wake?.();
    });
  }

  /** Asks for a line; undefined when there will be no more. */
  async ask(): Promise<string | undefined> {
    const typedAhead = this.#lines.shift();
    if (typedAhead !== undefined) {
      this.#streams.out.line(`${this.#prompt}${typedAhead}`);
      return typedAhead;
    }
    if (this.#closed) return undefined;
    this.#muted = false;
    this.#interface.prompt(true);
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
    this.#muted = true;
    return this.#lines.shift();
  }

  get isAsking(): boolean {
    return !this.#muted;
  }

  /** Drops what is being typed. False when there was nothing. */
  clear(): boolean {
    if (this.#interface.line === "") return false;
    this.#streams.out.line("^C");
    this.#interface.write(null, { ctrl: true, name: "e" });
    this.#interface.write(null, { ctrl: true, name: "u" });
    return true;
  }

  /** Says something between two prompts. */
  say(text: string): void {
    this.#streams.out.line(`\n${text}`);
    if (this.isAsking) this.#interface.prompt();
  }

  close(): void {
    this.#interface.close();
    this.#streams.stdin.pause();
  }

  #take(line: string): void {
    this.#lines.push(line);
    this.#wake?.();
  }
}
