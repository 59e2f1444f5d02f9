import type { Client, SessionTerminal, TerminalEnd } from "@raworc/client";

/** Characters that are kept, the last ones. */
const SEEN_MAX = 400_000;

/** Somebody who looks on a terminal, and waits for what he wants to see. */
export class Viewer {
  #seen = "";
  #terminal: SessionTerminal | undefined;
  #wake: (() => void) | undefined;

  static async open(
    client: Client,
    id: string,
    options: { readonly id?: string; readonly cols?: number; readonly rows?: number } = {},
  ): Promise<Viewer> {
    const viewer = new Viewer();
    const onOutput = (bytes: Uint8Array): void => {
      viewer.#seen = (viewer.#seen + Buffer.from(bytes).toString("latin1")).slice(-SEEN_MAX);
      viewer.#wake?.();
    };
    viewer.#terminal = await client.terminal(id, { ...options, onOutput });
    return viewer;
  }

  get terminal(): SessionTerminal {
    if (this.#terminal === undefined) throw new Error("The terminal is not open");
    return this.#terminal;
  }

  get seen(): string {
    return this.#seen;
  }

  type(text: string): void {
    this.terminal.write(text);
  }

  /** Resolves with what was seen when a text is in it. The shell echoes what is typed: look for what it makes of that. */
  async sees(text: string | RegExp): Promise<string> {
    const found = (): boolean => (typeof text === "string" ? this.#seen.includes(text) : text.test(this.#seen));
    while (!found()) {
      const more = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const end = await Promise.race([more, this.terminal.ended]);
      if (end !== undefined && !found()) {
        throw new Error(`It ended (${end.reason}) before ${String(text)} was seen:\n${this.#seen}`);
      }
    }
    return this.#seen;
  }

  end(): Promise<TerminalEnd> {
    return this.terminal.ended;
  }

  close(): void {
    this.terminal.close();
  }
}
