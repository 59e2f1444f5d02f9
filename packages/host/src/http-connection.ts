import type { Socket } from "node:net";
import { type BodyReader, bodyReader } from "@raworc/contract";
import { HEAD_MAX_BYTES, type HttpHead, readHead } from "./http-head.ts";
import { HttpRequest } from "./http-request.ts";
import { HttpResponse } from "./http-response.ts";

export interface HttpHandlers {
  readonly onCall: (request: HttpRequest, response: HttpResponse) => void;
  /** The socket is the handler's from now on; `first` came behind the head. */
  readonly onUpgrade: (head: HttpHead, socket: Socket, first: Buffer) => void;
}

interface Exchange {
  readonly request: HttpRequest;
  readonly response: HttpResponse;
  readonly body: BodyReader;
  answered: boolean;
}

const NOTHING = Buffer.alloc(0);

/**
 * The server's end of HTTP/1.1 over one socket, one call after the other. Far smaller than what Node.js brings, which costs
 * a call more than its work does: there is one caller, who is known, and neither proxies nor browsers.
 */
export class HttpConnection {
  readonly #socket: Socket;
  readonly #handlers: HttpHandlers;
  readonly #onData = (bytes: Buffer): void => this.#take(bytes);
  readonly #onDrain = (): void => void this.#exchange?.response.emit("drain");
  readonly #onClose = (): void => this.#broken();
  #exchange: Exchange | undefined;
  /** What came behind the call at hand, or is of a head whose end has not come. */
  #rest: Buffer = NOTHING;

  constructor(socket: Socket, handlers: HttpHandlers) {
    this.#socket = socket;
    this.#handlers = handlers;
    socket.on("data", this.#onData);
    socket.on("drain", this.#onDrain);
    socket.on("close", this.#onClose);
    socket.on("error", () => undefined);
  }

  #take(bytes: Buffer): void {
    try {
      const rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
      this.#rest = NOTHING;
      if (this.#exchange === undefined) this.#begin(rest);
      else this.#readBody(this.#exchange, rest);
    } catch {
      // Nothing after this can be understood.
      this.#socket.destroy();
    }
  }

  #begin(bytes: Buffer): void {
    const found = readHead(bytes);
    if (found === undefined) {
      this.#rest = bytes;
      return;
    }
    const { head, length } = found;
    const after = bytes.subarray(length);
    if (head.headers["upgrade"] !== undefined) {
      this.#socket.off("data", this.#onData).off("drain", this.#onDrain).off("close", this.#onClose);
      this.#handlers.onUpgrade(head, this.#socket, after);
      return;
    }
    const request = new HttpRequest(head, (on) => void (on ? this.#socket.resume() : this.#socket.pause()));
    const response = new HttpResponse(this.#socket, {
      method: head.method,
      last: head.headers["connection"]?.toLowerCase() === "close",
      onEnd: () => this.#answered(exchange),
    });
    const exchange: Exchange = { request, response, body: bodyReader(head.headers), answered: false };
    this.#exchange = exchange;
    // What has come of the body is there when the call is made: most come whole.
    this.#readBody(exchange, after);
    this.#handlers.onCall(request, response);
  }

  #readBody({ request, body }: Exchange, bytes: Buffer): void {
    if (request.complete) {
      this.#keep(bytes);
      return;
    }
    const after = body(bytes, (piece) => request.push(piece));
    if (after === undefined) return;
    request.end();
    this.#keep(after);
    this.#next();
  }

  /** A caller who does not wait for his answer waits here. */
  #keep(bytes: Buffer): void {
    this.#rest = bytes;
    if (bytes.length > HEAD_MAX_BYTES) this.#socket.pause();
  }

  #answered(exchange: Exchange): void {
    exchange.answered = true;
    exchange.request.drop();
    this.#next();
  }

  #next(): void {
    const exchange = this.#exchange;
    if (exchange === undefined || !exchange.answered || !exchange.request.complete) return;
    this.#exchange = undefined;
    if (exchange.response.last) this.#socket.end();
    else if (this.#rest.length > 0) queueMicrotask(() => this.#take(NOTHING));
    this.#socket.resume();
  }

  #broken(): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.request.end(Object.assign(new Error("The connection broke"), { code: "ECONNRESET" }));
    exchange?.response.closed();
  }
}
