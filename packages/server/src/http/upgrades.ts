import { type IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { BEARER_PROTOCOL, RaworcError } from "@raworc/contract";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { rawProblemAnswer } from "./problems.ts";

/** A connection that may become something else than HTTP. */
export interface Upgrade {
  readonly socket: Socket;
  /** What came behind the request. */
  readonly head: Buffer;
}

const upgrades = new WeakMap<IncomingMessage, Upgrade>();
const KEY = /^[A-Za-z0-9+/]{22}==$/;

/** Other upgrades are not ours: such requests are answered as plain ones. */
export function isWebSocket(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === "websocket";
}

/**
 * Lets requests for WebSockets go the way of all others, so that the same hooks and rights hold. A handler takes the
 * connection by `requireWebSocket`; where it answers by its reply, the connection is closed afterwards.
 */
export function acceptUpgrades(fastify: FastifyInstance, origins: readonly string[]): void {
  fastify.server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.on("error", () => undefined);
    if (!isOriginAllowed(request, origins)) {
      const detail = "Pages of this origin may not connect. Name it in RAWORC_CORS_ORIGINS.";
      socket.end(rawProblemAnswer(new RaworcError("forbidden", detail)));
      return;
    }
    takeBearer(request);
    upgrades.set(request, { socket, head });
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket);
    response.once("finish", () => socket.end());
    fastify.routing(request, response);
  });
}

/** Undefined for a request that asks for no WebSocket. */
export function upgradeOf(request: FastifyRequest): Upgrade | undefined {
  return upgrades.get(request.raw);
}

/** Throws RaworcError where the request is no proper one for a WebSocket. */
export function requireWebSocket(request: FastifyRequest): Upgrade {
  const upgrade = upgradeOf(request);
  const { headers } = request;
  const isProper = KEY.test(headers["sec-websocket-key"] ?? "") && headers["sec-websocket-version"] === "13";
  if (upgrade !== undefined && isProper && request.method === "GET") return upgrade;
  throw new RaworcError("bad_request", "This is a WebSocket: connect to it as one, version 13.");
}

function isOriginAllowed({ headers }: IncomingMessage, origins: readonly string[]): boolean {
  const { host, origin } = headers;
  if (origin === undefined || origins.includes("*") || origins.includes(origin)) return true;
  return URL.parse(origin)?.host === host?.toLowerCase();
}

/**
 * A browser can't set headers of a WebSocket, and a token in an address would be written into logs. So it is offered as a
 * subprotocol, which is taken out here: nobody further on sees it.
 */
function takeBearer({ headers }: IncomingMessage): void {
  const offered = headers["sec-websocket-protocol"]?.split(",").map((name) => name.trim()) ?? [];
  const token = offered.find((name) => name.startsWith(BEARER_PROTOCOL))?.slice(BEARER_PROTOCOL.length);
  if (token === undefined) return;
  const others = offered.filter((name) => !name.startsWith(BEARER_PROTOCOL));
  if (others.length === 0) delete headers["sec-websocket-protocol"];
  else headers["sec-websocket-protocol"] = others.join(", ");
  headers.authorization ??= `Bearer ${token}`;
}
