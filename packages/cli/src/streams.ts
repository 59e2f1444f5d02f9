import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { styleText } from "node:util";
import type { Config } from "./config.ts";
import { cleanText } from "./terminal-text.ts";

type Style = Parameters<typeof styleText>[0];

/** One way out, to a person's terminal or to a program. */
export class Output {
  readonly stream: Writable;
  readonly isTerminal: boolean;
  readonly #coloured: boolean;

  constructor(stream: Writable, isTerminal: boolean, coloured: boolean) {
    this.stream = stream;
    this.isTerminal = isTerminal;
    this.#coloured = coloured;
  }

  /** Writes text of our own as it is. */
  write(text: string): void {
    this.stream.write(text);
  }

  line(text = ""): void {
    this.stream.write(`${text}\n`);
  }

  /** Writes text that others wrote: as it is to a program, without control sequences to a terminal. */
  foreign(text: string): void {
    this.stream.write(this.isTerminal ? cleanText(text) : text);
  }

  /** Resolves when the reader has taken most of what was written, so that a flood is not kept in memory. */
  async drained(): Promise<void> {
    if (this.stream.writableNeedDrain && !this.stream.destroyed) await once(this.stream, "drain");
  }

  /** Colours text where colours are wanted. */
  paint(style: Style, text: string): string {
    return this.#coloured ? styleText(style, text, { validateStream: false }) : text;
  }

  get columns(): number {
    return "columns" in this.stream && typeof this.stream.columns === "number" && this.stream.columns > 0
      ? this.stream.columns
      : 80;
  }

  /** Resolves when everything written is handed on. */
  flush(): Promise<void> {
    return new Promise((resolve) => {
      if (this.stream.destroyed || this.stream.writableEnded) resolve();
      else this.stream.write("", () => resolve());
    });
  }
}

export interface Streams {
  readonly stdin: Readable;
  readonly stdinIsTerminal: boolean;
  readonly out: Output;
  readonly err: Output;
}

export function processStreams(config: Config): Streams {
  const output = (stream: NodeJS.WriteStream): Output => {
    const isTerminal = stream.isTTY === true;
    return new Output(stream, isTerminal, isTerminal && !config.plain);
  };
  return {
    stdin: process.stdin,
    stdinIsTerminal: process.stdin.isTTY === true,
    out: output(process.stdout),
    err: output(process.stderr),
  };
}

/** Whether a person can be asked. */
export function canAsk({ stdinIsTerminal, err }: Streams): boolean {
  return stdinIsTerminal && err.isTerminal;
}
