import { chmodSync, renameSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { COMPUTER } from "@raworc/contract";
import { errorCode, isDiskFull } from "./disk-full.ts";
import { logLine } from "./host-log.ts";
import { HttpConnection } from "./http-connection.ts";
import type { HttpHead } from "./http-head.ts";
import type { HttpRequest } from "./http-request.ts";
import type { HttpResponse } from "./http-response.ts";
import { BODY_MAX_BYTES } from "./limits.ts";
import { RequestError } from "./requests.ts";

export interface Call {
  readonly request: HttpRequest;
  readonly response: HttpResponse;
  readonly url: URL;
  /** What a `{}` of the route's path stands for. */
  readonly id: string;
}

/** What is done with a connection that is no HTTP any more. */
export type Connected = (socket: Socket) => void;
/** Decides about a call for a connection of bytes. May throw a RequestError. */
export type UpgradeHandler = (id: string, url: URL) => Promise<Connected>;

/** Answers a call, in whole. May throw a RequestError before anything was written. */
export type Handler = (call: Call) => Promise<void> | void;

const SOCKET = `${COMPUTER.socketDirectory}/${COMPUTER.hostSocket}`;

/** Routes are `METHOD /path`, with `{}` for one id where no other has the very path; upgrades are the noun of `/noun/{}`. */
export class HostServer {
  readonly #routes: Readonly<Record<string, Handler>>;
  readonly #upgrades: Readonly<Record<string, UpgradeHandler>>;
  readonly #server: Server;

  /** `onUse` is called when a call was answered. */
  constructor(
    routes: Readonly<Record<string, Handler>>,
    upgrades: Readonly<Record<string, UpgradeHandler>>,
    onUse: () => void,
  ) {
    this.#routes = routes;
    this.#upgrades = upgrades;
    // Answers last as long as the agents and commands that they tell of; only one who knows us can call. Where the kernel
    // checks the agents beside us, it is by the folder.
    this.#server = createServer((socket) => {
      new HttpConnection(socket, {
        onCall: (request, response) => {
          response.once("close", onUse);
          this.#answer(request, response).catch((error: unknown) => refuse(response, error));
        },
        onUpgrade: (head, upgraded, first) => {
          upgraded.once("close", onUse);
          this.#upgrade(head, upgraded, first).catch((error: unknown) => refuseUpgrade(upgraded, error));
        },
      });
    });
  }

  /** The socket appears when it answers, in the place of one that a host before left. */
  async listen(): Promise<void> {
    const draft = `${SOCKET}.new`;
    rmSync(draft, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(draft, resolve);
    });
    chmodSync(draft, 0o666);
    renameSync(draft, SOCKET);
  }

  /** Takes no new connection, and removes the socket. */
  close(): void {
    this.#server.close();
    rmSync(SOCKET, { force: true });
  }

  async #upgrade({ target }: HttpHead, socket: Socket, first: Buffer): Promise<void> {
    const url = new URL(target, "http://host");
    const [, noun = "", id = ""] = url.pathname.split("/");
    const handler = this.#upgrades[noun];
    if (handler === undefined) throw new RequestError(404, "not_found", `No such connection: ${url.pathname}`);
    const connected = await handler(decodeURIComponent(id), url);
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raworc-${noun}\r\n\r\n`);
    if (first.length > 0) socket.unshift(first);
    connected(socket);
  }

  async #answer(request: HttpRequest, response: HttpResponse): Promise<void> {
    const url = new URL(request.target, "http://host");
    const [, noun = "", id, ...rest] = url.pathname.split("/");
    const path = [noun, ...(id === undefined ? [] : ["{}"]), ...rest].join("/");
    const handler = this.#routes[`${request.method} ${url.pathname}`] ?? this.#routes[`${request.method} /${path}`];
    if (handler === undefined)
      throw new RequestError(404, "not_found", `No such call: ${request.method} ${url.pathname}`);
    await handler({ request, response, url, id: decodeURIComponent(id ?? "") });
  }
}

/** Rejects with RequestError for what is no JSON or too long. */
export async function readBody(request: HttpRequest): Promise<unknown> {
  const bytes = await request.read(BODY_MAX_BYTES);
  if (bytes === undefined) throw new RequestError(413, "too_large", "The body is too large");
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    throw new RequestError(400, "malformed_json", "The body is no JSON");
  }
}

export function sendJson(response: HttpResponse, body: unknown, status: 200 | 201 = 200): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  response.end(text);
}

export function sendEmpty(response: HttpResponse, status: 202 | 204): void {
  response.writeHead(status, status === 204 ? {} : { "content-length": 0 });
  response.end();
}

function refuse(response: HttpResponse, error: unknown): void {
  const { status, text } = refusalOf(error);
  if (response.headersSent) response.destroy();
  else response.writeHead(status, { "content-type": "application/json" }).end(text);
}

function refuseUpgrade(socket: Socket, error: unknown): void {
  const { status, text } = refusalOf(error);
  const length = Buffer.byteLength(text);
  socket.end(
    `HTTP/1.1 ${status} Refused\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n${text}`,
  );
}

function refusalOf(error: unknown): { readonly status: number; readonly text: string } {
  const known = error instanceof RequestError;
  const full = isDiskFull(error);
  if (!known && errorCode(error) !== "ECONNRESET") logLine("error", "call failed", { error: String(error) });
  const status = known ? error.status : full ? 507 : 500;
  const code = known ? error.code : full ? "disk_full" : "internal";
  const message = known ? error.message : full ? "The session's disk is full" : "The host failed; its log says why";
  return { status, text: JSON.stringify({ error: { code, message } }) };
}
