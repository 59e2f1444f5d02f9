import type { Output } from "./streams.ts";
import { cutText } from "./terminal-text.ts";

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const FRAME_MS = 80;
const CLEAR_LINE = "\r\x1b[2K";
const HIDE_CURSOR = "\x1b[?25l";
const SHOW_CURSOR = "\x1b[?25h";

/** A line that says that something goes on, gone without trace when it has ended. Silent where there is no terminal. */
export class Spinner {
  readonly #output: Output;
  readonly #moves: boolean;
  #text = "";
  #frame = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(output: Output, options: { readonly dumb: boolean }) {
    this.#output = output;
    this.#moves = output.isTerminal && !options.dumb;
  }

  start(text: string): void {
    this.#text = text;
    if (!this.#moves) {
      if (this.#output.isTerminal) this.#output.line(text);
      return;
    }
    if (this.#timer === undefined) this.#output.write(HIDE_CURSOR);
    this.#draw();
    this.#timer ??= setInterval(() => this.#draw(), FRAME_MS);
  }

  get isSpinning(): boolean {
    return this.#timer !== undefined;
  }

  stop(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#output.write(CLEAR_LINE + SHOW_CURSOR);
  }

  #draw(): void {
    const frame = FRAMES[this.#frame % FRAMES.length] ?? "";
    this.#frame += 1;
    // A line that wraps could not be cleared again.
    const text = cutText(`${frame} ${this.#text}`, Math.max(4, this.#output.columns - 1));
    this.#output.write(`${CLEAR_LINE}${this.#output.paint("cyan", text.slice(0, 1))}${text.slice(1)}`);
  }
}
