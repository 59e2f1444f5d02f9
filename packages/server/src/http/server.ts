import { randomUUIDv7 } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { type ErrorCode, RaworcError } from "@raworc/contract";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Logger } from "pino";
import type { Authenticator } from "../access/authenticator.ts";
import type { Authenticate, Caller } from "../access/caller.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { RunningSpan, Tracing } from "../telemetry/tracing.ts";
import { limitBodyTime } from "./body-time.ts";
import type { CallAudit } from "./call-audit.ts";
import { type CrossOriginOptions, handleCrossOrigin } from "./cross-origin.ts";
import { Drain } from "./drain.ts";
import type { Guard, RegisteredRoute } from "./guard.ts";
import { Heartbeat } from "./heartbeat.ts";
import { hostCheck } from "./host-names.ts";
import type { Idempotency } from "./idempotency.ts";
import { acceptJsonOnly } from "./json-body.ts";
import { answerUnknownPaths } from "./not-found.ts";
import { problemOf, rawProblemAnswer, SECURITY_HEADERS, sendProblem } from "./problems.ts";
import { RequestLog } from "./request-log.ts";
import { requestObservation } from "./request-observation.ts";
import type { RequestRates } from "./request-rates.ts";
import { acceptUpgrades, isWebSocket } from "./upgrades.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    guard?: Guard;
  }
  interface FastifyInstance {
    readonly api: Api;
  }
  interface FastifyRequest {
    /** Set once the token was found good. */
    caller: Caller | null;
    /** Where requests are traced. */
    span: RunningSpan | null;
  }
}

export interface HttpServerOptions {
  readonly log: Logger;
  readonly authenticate: Authenticate;
  /** Ends calls that last when their caller may no longer make them. */
  readonly watch?: Authenticator["watch"];
  /** Tells of changes and refusals; left out in tests of something else. */
  readonly audit?: CallAudit;
  /** Checks each answer against the contract; for development and tests. */
  readonly checkAnswers?: boolean;
  /** Addresses and networks of proxies whose forwarded addresses count. */
  readonly trustedProxies?: readonly string[];
  readonly crossOrigin?: CrossOriginOptions;
  /** Besides those of this machine the only names that the server may be called by; left out, it may be by any. */
  readonly hostNames?: readonly string[] | undefined;
  /** Gives repeated requests their first answer; left out, Idempotency-Key is ignored. */
  readonly idempotency?: Idempotency;
  /** Counts requests. */
  readonly metrics?: Metrics | undefined;
  /** Traces requests. */
  readonly tracing?: Tracing | undefined;
  /** Bounds the requests of each principal; left out, nothing does. */
  readonly rates?: RequestRates | undefined;
}

/** What the routes of one server share. */
export interface Api {
  readonly authenticate: Authenticate;
  readonly watch: Authenticator["watch"] | undefined;
  readonly audit: CallAudit | undefined;
  readonly checkAnswers: boolean;
  readonly idempotency: Idempotency | undefined;
  readonly rates: RequestRates | undefined;
  readonly heartbeat: Heartbeat;
  /** Aborted when the server begins to stop: streams end by it. */
  readonly closing: AbortSignal;
  /** Aborted somewhat later: requests that still wait for something give up by it. */
  readonly ending: AbortSignal;
  /** Everything that is registered. */
  readonly routes: readonly RegisteredRoute[];
  /**
   * Refuses new requests with `draining`, ends streams, waits for the others to end, then closes. After `graceMs` their
   * connections are cut. Idempotent.
   */
  drain(graceMs: number): Promise<void>;
}

const BODY_MAX = 8 * 1024 * 1024;
/** Longer parts of a path name nothing. */
const PATH_PART_MAX = 1024;
/** Milliseconds for the headers of a request to arrive. */
const HEADERS_TIMEOUT = 60_000;
/** The same for a body, where it is not bytes that a handler reads. */
const BODY_TIMEOUT = 300_000;
const KEEP_ALIVE_TIMEOUT = 72_000;
const HEARTBEAT_INTERVAL = 15_000;
const REQUEST_ID = /^[A-Za-z0-9._:-]{1,128}$/;

function requestId(request: { readonly headers: IncomingMessage["headers"] }): string {
  const given = request.headers["x-request-id"];
  return typeof given === "string" && REQUEST_ID.test(given) ? given : randomUUIDv7();
}

/** The HTTP server without its routes. It listens on nothing yet. */
export function createHttpServer(options: HttpServerOptions): FastifyInstance {
  const { log, trustedProxies = [] } = options;
  const registered: RegisteredRoute[] = [];
  const fastify: FastifyInstance = Fastify({
    // Requests get a log of their own below: Fastify's way makes one, and listens, for each of them.
    logger: false,
    genReqId: requestId,
    bodyLimit: BODY_MAX,
    // Uploads last as long as they last: other bodies have a time of their own.
    requestTimeout: 0,
    http: { headersTimeout: HEADERS_TIMEOUT, shouldUpgradeCallback: isWebSocket, requireHostHeader: false },
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT,
    return503OnClosing: false,
    forceCloseConnections: "idle",
    // An empty list trusts nobody too, but reads forwarded addresses for that.
    trustProxy: trustedProxies.length === 0 ? false : [...trustedProxies],
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: PATH_PART_MAX },
    frameworkErrors: (error, request, reply) => {
      prepareAnswer(request, reply);
      sendProblem(reply, problemOf(error));
    },
    clientErrorHandler: answerBrokenRequest,
  });
  fastify.decorateRequest("caller", null);
  fastify.decorateRequest("span", null);
  fastify.addHook("onRoute", ({ method, url, config }) => {
    const guard = config?.guard;
    if (guard === undefined) throw new Error(`${url} has no guard; register it with route, openRoute or page`);
    for (const name of [method].flat()) registered.push({ method: name, path: url, guard });
  });
  const drain = new Drain(fastify);
  const observe = requestObservation(options, drain);
  const refusalOfHost = hostCheck(options.hostNames);
  // One hook: each more would cost every request as much as what is done in it.
  fastify.addHook("onRequest", (request, reply, done) => {
    observe(request, reply);
    request.log = new RequestLog(log, request.id);
    reply.log = request.log;
    prepareAnswer(request, reply);
    limitBodyTime(request, reply, BODY_TIMEOUT);
    done(drain.refusal ?? refusalOfHost(request));
  });
  if (options.crossOrigin !== undefined) handleCrossOrigin(fastify, options.crossOrigin);
  acceptUpgrades(fastify, options.crossOrigin?.origins ?? []);
  acceptJsonOnly(fastify);
  answerUnknownPaths(fastify, registered);
  fastify.setErrorHandler((error, request, reply) => {
    const problem = problemOf(error);
    if (problem.code === "internal") request.log.error({ err: error }, "request failed");
    return sendProblem(reply, problem);
  });

  const heartbeat = new Heartbeat(HEARTBEAT_INTERVAL);
  const api: Api = {
    authenticate: options.authenticate,
    watch: options.watch,
    audit: options.audit,
    checkAnswers: options.checkAnswers ?? false,
    idempotency: options.idempotency,
    rates: options.rates,
    heartbeat,
    closing: drain.closing,
    ending: drain.ending,
    routes: registered,
    drain: (graceMs) => drain.run(graceMs).finally(() => heartbeat.close()),
  };
  fastify.decorate("api", api);
  return fastify;
}

/** Registers a page that needs no token and is no part of the contract. */
export function page(
  app: FastifyInstance,
  path: string,
  handler: (request: FastifyRequest, reply: FastifyReply) => FastifyReply | Promise<FastifyReply>,
): void {
  app.get(path, { config: { guard: { page: path } } }, handler);
}

function prepareAnswer(request: FastifyRequest, reply: FastifyReply): void {
  reply.headers(SECURITY_HEADERS).header("x-request-id", request.id);
}

const PARSER_PROBLEMS: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  HPE_HEADER_OVERFLOW: ["too_large", "The request line and headers are larger than 16 KiB together."],
  ERR_HTTP_REQUEST_TIMEOUT: ["bad_request", "The request did not arrive in time."],
};

/** Answers what is no HTTP request at all, and closes. */
function answerBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy(error);
    return;
  }
  const [code, detail] = PARSER_PROBLEMS[error.code ?? ""] ?? ["bad_request", "This is not a valid HTTP/1.1 request."];
  socket.end(rawProblemAnswer(new RaworcError(code, detail)));
}
