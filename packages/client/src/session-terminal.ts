import { TERMINAL_CLOSE, TerminalExit } from "@raworc/contract";

export interface TerminalOptions {
  /** Name of the terminal; `main` unless told. */
  readonly id?: string;
  readonly cols?: number;
  readonly rows?: number;
  /** Ends the view. */
  readonly signal?: AbortSignal | undefined;
  /** Called with what the terminal shows, from its scrollback on. */
  readonly onOutput: (bytes: Uint8Array) => void;
}

/** How the view of a terminal has ended. */
export interface TerminalEnd {
  /** Of the shell; undefined where the view alone has ended, and connecting again goes on with it. */
  readonly exitCode: number | undefined;
  readonly reason: string;
}

/** One view of a terminal in a session. */
export class SessionTerminal {
  readonly #socket: WebSocket;
  readonly ended: Promise<TerminalEnd>;

  /** Resolves when the terminal is there, or with undefined where it could not be opened. */
  static open(
    { address, protocols }: { readonly address: URL; readonly protocols: string[] },
    { onOutput, signal }: TerminalOptions,
  ): Promise<SessionTerminal | undefined> {
    const socket = new WebSocket(address, protocols);
    socket.binaryType = "arraybuffer";
    return new Promise((resolve) => {
      const terminal = new SessionTerminal(socket, onOutput);
      signal?.addEventListener("abort", () => socket.close(), { once: true });
      socket.addEventListener("open", () => resolve(terminal), { once: true });
      socket.addEventListener("error", () => resolve(undefined), { once: true });
    });
  }

  private constructor(socket: WebSocket, onOutput: (bytes: Uint8Array) => void) {
    this.#socket = socket;
    let exitCode: number | undefined;
    socket.addEventListener("message", ({ data }) => {
      if (data instanceof ArrayBuffer) onOutput(new Uint8Array(data));
      else exitCode = TerminalExit.safeParse(JSON.parse(String(data))).data?.exit_code;
    });
    this.ended = new Promise((resolve) => {
      socket.addEventListener("close", ({ code, reason }) => {
        resolve({
          exitCode,
          reason: reason || (code === TERMINAL_CLOSE.ended ? "" : `The connection broke (${code}).`),
        });
      });
    });
  }

  write(bytes: string | Uint8Array): void {
    const content = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
    this.#socket.send(content as Uint8Array<ArrayBuffer>);
  }

  resize(cols: number, rows: number): void {
    this.#socket.send(JSON.stringify({ type: "resize", cols, rows }));
  }

  /** Ends the view; the terminal lives on. */
  close(): void {
    this.#socket.close();
  }
}
