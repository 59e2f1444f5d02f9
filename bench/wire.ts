import { connect, type Socket } from "node:net";
import { createClient } from "@raworc/client";
import { API_BASE } from "@raworc/contract";

/**
 * One kept connection to a server, for one call at a time. What is measured is the server: `fetch` takes as much of the
 * processor for a call as a message may take altogether.
 */
export class Wire {
  readonly #socket: Socket;
  readonly #headers: string;
  #received = "";
  #resolve: ((answer: string) => void) | undefined;
  #reject: ((error: Error) => void) | undefined;

  private constructor(socket: Socket, headers: string) {
    this.#socket = socket;
    this.#headers = headers;
    socket.setEncoding("utf8");
    socket.on("data", (text) => this.#take(String(text)));
    socket.on("close", () => this.#reject?.(new Error("The server closed the connection")));
    socket.on("error", (error) => this.#reject?.(error));
  }

  static async open(url: string): Promise<Wire> {
    const { token } = await createClient({ server: url }).call("auth.login", {
      body: { user: "admin", pass: "admin" },
    });
    const { host, hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return new Wire(socket, `host: ${host}\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json`);
  }

  /** The body of an answer with a status below 300; all others are thrown. */
  post(path: string, body: unknown): Promise<string> {
    const text = JSON.stringify(body);
    const head = `POST ${API_BASE}${path} HTTP/1.1\r\n${this.#headers}\r\ncontent-length: ${Buffer.byteLength(text)}`;
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.#received = "";
      this.#socket.write(`${head}\r\n\r\n${text}`);
    });
  }

  close(): void {
    this.#reject = undefined;
    this.#socket.destroy();
  }

  /** The answers of the calls that are measured are ASCII, so characters are bytes. */
  #take(text: string): void {
    this.#received += text;
    const end = this.#received.indexOf("\r\n\r\n");
    if (end === -1) return;
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(this.#received)?.[1] ?? Number.NaN);
    if (this.#received.length < end + 4 + length) return;
    const answer = this.#received.slice(end + 4);
    if (/^HTTP\/1.1 2/.test(this.#received)) this.#resolve?.(answer);
    else this.#reject?.(new Error(this.#received));
  }
}
