import { connect, type Socket } from "node:net";
import { HostCall } from "./host-call.ts";

export interface JsonCall {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: unknown;
  readonly signal: AbortSignal;
}

/** More than are used at once most of the time. */
const FREE_MAX = 8;

/** Calls with JSON to one host, each alone on its connection. Those that are free are kept for the next. */
export class HostCalls {
  readonly #socketPath: string;
  readonly #sockets = new Set<Socket>();
  readonly #free: Socket[] = [];
  readonly #current = new Map<Socket, HostCall>();

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** The call's own methods tell what becomes of it, and of a host that can't be reached. */
  begin({ method, path, body, signal }: JsonCall): HostCall {
    const socket = this.#free.pop()?.ref() ?? this.#connect();
    const text = body === undefined ? "" : JSON.stringify(body);
    const length =
      body === undefined ? "" : `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n`;
    const call = new HostCall(socket, `${method} ${path} HTTP/1.1\r\nhost: localhost\r\n${length}\r\n`, text, {
      signal,
      onFree: () => {
        this.#current.delete(socket);
        if (socket.destroyed) return;
        if (this.#free.length === FREE_MAX) socket.destroy();
        else this.#free.push(socket.unref());
      },
    });
    this.#current.set(socket, call);
    return call;
  }

  /** Ends all calls. Idempotent. */
  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #connect(): Socket {
    const socket = connect(this.#socketPath);
    let fault: Error | undefined;
    this.#sockets.add(socket);
    socket.on("data", (bytes) => {
      const call = this.#current.get(socket);
      // Whoever speaks without being asked is not understood.
      if (call === undefined) socket.destroy();
      else call.take(bytes as Buffer);
    });
    socket.on("error", (error) => {
      fault = error;
    });
    socket.on("end", () => socket.destroy());
    socket.on("close", () => {
      this.#sockets.delete(socket);
      const index = this.#free.indexOf(socket);
      if (index !== -1) this.#free.splice(index, 1);
      const call = this.#current.get(socket);
      this.#current.delete(socket);
      call?.broken(fault ?? new Error("The host closed the connection"));
    });
    return socket;
  }
}
