import type { FastifyReply, FastifyRequest } from "fastify";
import { type Logger, lateLog, quoted } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Cause } from "../telemetry/operations.ts";
import { parseTraceParent, type Tracing } from "../telemetry/tracing.ts";

const PATH_SHOWN = 256;

function pathOf(request: FastifyRequest): string {
  const end = request.url.indexOf("?");
  return (end === -1 ? request.url : request.url.slice(0, end)).slice(0, PATH_SHOWN);
}

const quotedOrNull = (text: string | null | undefined): string => (typeof text === "string" ? quoted(text) : "null");

/** Which request it was, for what it has begun. */
export function causeOf(request: FastifyRequest): Cause {
  return { requestId: request.id, span: request.span?.context };
}

export interface ObservationOptions {
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
  readonly tracing?: Tracing | undefined;
}

/** Hears of each request when it comes, and when its answer has ended or its client has gone. */
export interface RequestObserver {
  began(): void;
  ended(): void;
}

/**
 * Tells of each request when it has ended: one line in the log, figures, and a span. Queries are never told. To be called
 * with each request when it comes.
 */
export function requestObservation(
  options: ObservationOptions,
  observer: RequestObserver,
): (request: FastifyRequest, reply: FastifyReply) => void {
  const { metrics, tracing } = options;
  const writeLine = lateLog(options.log);
  const ended = (request: FastifyRequest, { raw }: FastifyReply, beganAt: number): void => {
    observer.ended();
    const { method } = request;
    const route = request.routeOptions.url ?? null;
    const { statusCode: status, writableFinished } = raw;
    const ms = Math.round((performance.now() - beganAt) * 1000) / 1000;
    const principal = request.caller?.principal.name ?? null;
    const { id, ip } = request;
    const path = pathOf(request);
    // Methods, and ids as they are taken or made, have nothing to escape.
    const fields = (): string =>
      `"request_id":"${id}","method":"${method}","route":${quotedOrNull(route)},` +
      `"path":${quoted(path)},"status":${status},"ms":${ms},"principal":${quotedOrNull(principal)},` +
      `"address":${quotedOrNull(ip)}${writableFinished ? "" : ',"aborted":true'}`;
    writeLine(fields, "request");
    metrics?.requestEnded(method, route ?? "none", status, ms / 1000);
    request.span?.end({ "http.response.status_code": status, "enduser.id": principal ?? undefined }, status >= 500);
  };
  const begin = (request: FastifyRequest, { begin: beginSpan }: Tracing): void => {
    const { method } = request;
    const route = request.routeOptions.url ?? "none";
    const header = request.headers["traceparent"];
    request.span = beginSpan(`${method} ${route}`, {
      kind: "server",
      parent: parseTraceParent(typeof header === "string" ? header : undefined),
      attributes: {
        "http.request.method": method,
        "http.route": route,
        "url.path": pathOf(request),
        "client.address": request.ip,
        "raworc.request_id": request.id,
      },
    });
  };
  return (request, reply) => {
    const beganAt = performance.now();
    observer.began();
    metrics?.requestBegan();
    if (tracing !== undefined) begin(request, tracing);
    reply.raw.on("close", () => ended(request, reply, beganAt));
  };
}
