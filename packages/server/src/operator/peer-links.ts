import { once } from "node:events";
import { chmod, mkdir, rm } from "node:fs/promises";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Logger } from "pino";

/** What a look at a server's address tells: nobody listens there, somebody does, or it can't be seen from here. */
export type Presence = "gone" | "there" | "unknown";

export interface PeerLinksOptions {
  /** Where the sockets are; shared by the servers of one machine and closed to all others. */
  readonly directory: string;
  readonly log: Logger;
  /** Another server has called. */
  readonly onCall: (topic: string, key: string) => void;
  /** A server's link to this one is open: from here on its calls come through, and what it called before did not. */
  readonly onGreeting: () => void;
  /** The link to a server has ended. */
  readonly onEnd: (serverId: string) => void;
}

/** The first line of a link. */
const GREETING = "greeting";

/**
 * Links between the servers of one machine: each listens on a Unix socket and opens one link to each other server, on
 * which it sends its calls. Calls that wait for a slow link are kept once per key, so they take bounded memory.
 */
export class PeerLinks {
  readonly #options: PeerLinksOptions;
  readonly #links = new Map<string, Link>();
  readonly #incoming = new Set<Socket>();
  #server: Server | undefined;
  #address = "";
  #closed = false;

  constructor(options: PeerLinksOptions) {
    this.#options = options;
  }

  /** Listens under an address that follows from the server's id, instead of the one before. */
  async listen(serverId: string): Promise<string> {
    const { directory } = this.#options;
    await this.#stopListening();
    await mkdir(directory, { recursive: true, mode: 0o700 });
    // Short: a socket's path may have some hundred characters in all.
    this.#address = join(directory, `${serverId.slice(-12)}.sock`);
    const server = createServer((socket) => this.#accept(socket));
    server.on("error", (error) => this.#options.log.warn({ err: error }, "the socket for other servers failed"));
    server.listen(this.#address);
    await once(server, "listening");
    await chmod(this.#address, 0o600);
    server.unref();
    this.#server = server;
    return this.#address;
  }

  has(serverId: string): boolean {
    return this.#links.has(serverId);
  }

  /** Opens a link unless there is one. */
  async open(serverId: string, address: string): Promise<Presence> {
    if (this.#links.has(serverId)) return "there";
    const socket = createConnection(address);
    try {
      await once(socket, "connect");
    } catch (error) {
      socket.destroy();
      return (error as { code?: unknown }).code === "ECONNREFUSED" ? "gone" : "unknown";
    }
    if (this.#closed || this.#links.has(serverId)) {
      socket.destroy();
      return "there";
    }
    const link = new Link(socket, () => {
      if (this.#links.get(serverId) !== link) return;
      this.#links.delete(serverId);
      if (!this.#closed) this.#options.onEnd(serverId);
    });
    this.#links.set(serverId, link);
    link.send(GREETING, "");
    return "there";
  }

  /** Ends the link to a server that is no longer one. */
  drop(serverId: string): void {
    const link = this.#links.get(serverId);
    this.#links.delete(serverId);
    link?.close();
  }

  send(topic: string, key: string): void {
    for (const link of this.#links.values()) link.send(topic, key);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
    await this.#stopListening();
  }

  async #stopListening(): Promise<void> {
    for (const socket of this.#incoming) socket.destroy();
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = once(server, "close");
    server.close();
    await closed;
    await rm(this.#address, { force: true });
  }

  #accept(socket: Socket): void {
    this.#incoming.add(socket);
    socket.unref();
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#incoming.delete(socket));
    const lines = createInterface({ input: socket });
    lines.on("line", (line) => this.#read(line));
    lines.on("error", () => socket.destroy());
  }

  #read(line: string): void {
    const space = line.indexOf(" ");
    if (space < 0) return;
    const topic = line.slice(0, space);
    if (topic === GREETING) this.#options.onGreeting();
    else this.#options.onCall(topic, line.slice(space + 1));
  }
}

/** One way to another server. */
class Link {
  readonly #socket: Socket;
  readonly #waiting = new Set<string>();
  #flushing = false;

  constructor(socket: Socket, onEnd: () => void) {
    this.#socket = socket;
    socket.unref();
    socket.on("error", () => socket.destroy());
    socket.on("drain", () => this.#flush());
    socket.on("close", onEnd);
    // The other end sends nothing; reading is how its end is seen.
    socket.resume();
  }

  send(topic: string, key: string): void {
    this.#waiting.add(`${topic} ${key}\n`);
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => this.#flush());
  }

  close(): void {
    this.#socket.destroy();
  }

  #flush(): void {
    this.#flushing = false;
    if (this.#waiting.size === 0 || this.#socket.destroyed || this.#socket.writableNeedDrain) return;
    this.#socket.write([...this.#waiting].join(""));
    this.#waiting.clear();
  }
}
