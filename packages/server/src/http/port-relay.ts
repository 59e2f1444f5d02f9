import { type IncomingMessage, request as startRequest } from "node:http";
import type { Socket } from "node:net";
import { pipeline } from "node:stream";
import { RaworcError } from "@raworc/contract";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { TrafficUse } from "../operator/traffic-use.ts";
import { SENT, type Sent } from "./call.ts";
import { answerHeaders, type PortAddress, requestHeaders } from "./port-headers.ts";
import type { Upgrade } from "./upgrades.ts";

export interface PortRelay extends PortAddress {
  /** A connection to the port, for this request alone. */
  readonly socket: Socket;
  /** Path and query as the program inside gets them. */
  readonly path: string;
  /** Called when the program has answered: from then on the computer is used as long as there is traffic. */
  readonly onAnswer: () => TrafficUse;
}

/** Passes a request on and gives its answer, both as they come. */
export async function relayRequest(request: FastifyRequest, reply: FastifyReply, relay: PortRelay): Promise<Sent> {
  const call = startCall(request, relay, {});
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    call.once("response", resolve);
    call.on("error", (error) => reject(brokeOff(relay.port, error)));
  });
  pipeline(request.raw, call, () => undefined);
  const answer = await answered;
  relay.onAnswer();
  answer.once("close", () => relay.socket.destroy());
  reply.removeHeader("x-frame-options");
  reply.code(answer.statusCode ?? 502).headers(answerHeaders(answer.headers, relay));
  reply.send(answer);
  return SENT;
}

/** Passes a request for a WebSocket on; what comes after the agreement goes both ways as it is, until one side ends. */
export async function relayWebSocket(
  request: FastifyRequest,
  reply: FastifyReply,
  { head, socket: caller }: Upgrade,
  relay: PortRelay,
): Promise<Sent> {
  const call = startCall(request, relay, { connection: "Upgrade", upgrade: "websocket" });
  const agreed = await new Promise<IncomingMessage>((resolve, reject) => {
    call.once("upgrade", (answer, socket, rest) => {
      if (rest.length > 0) socket.unshift(rest);
      resolve(answer);
    });
    call.once("response", (answer) => {
      answer.resume();
      resolve(answer);
    });
    call.on("error", (error) => reject(brokeOff(relay.port, error)));
    call.end();
  });
  const headers = answerHeaders(agreed.headers, relay);
  if (agreed.statusCode !== 101) {
    delete headers["content-length"];
    reply
      .code(agreed.statusCode ?? 502)
      .headers(headers)
      .send();
    return SENT;
  }
  reply.hijack();
  reply.raw.statusCode = 101;
  delete headers["content-security-policy"];
  const lines = Object.entries({ ...headers, connection: "Upgrade", upgrade: "websocket" });
  const text = lines.flatMap(([name, value]) => [value].flat().map((single) => `${name}: ${single}\r\n`)).join("");
  caller.write(`HTTP/1.1 101 Switching Protocols\r\n${text}\r\n`);
  if (head.length > 0) caller.unshift(head);
  join(caller, relay.socket, relay.onAnswer());
  return SENT;
}

function startCall(request: FastifyRequest, relay: PortRelay, more: Record<string, string>) {
  return startRequest({
    // With an agent of any kind, `false` too, the request would go to this machine's own port 80.
    createConnection: () => relay.socket,
    method: request.method,
    path: relay.path,
    headers: { ...requestHeaders(request.headers, relay, request.protocol), ...more },
    setHost: false,
  });
}

function join(caller: Socket, inner: Socket, use: TrafficUse): void {
  caller.on("data", () => {
    const awake = use.sending();
    if (awake === undefined) return;
    // What is on its way waits in the connection until the computer reads again.
    awake.catch(() => inner.destroy());
  });
  pipeline(caller, inner, caller, () => inner.destroy());
  inner.once("close", () => caller.destroySoon());
}

function brokeOff(port: number, cause: Error): RaworcError {
  const detail = `What listens on port ${port} of the session broke off, or speaks no HTTP (${cause.message}).`;
  return new RaworcError("port_unreachable", detail, { cause });
}
