import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Cause } from "../telemetry/operations.ts";
import { parseTraceParent, type Tracing } from "../telemetry/tracing.ts";

const PATH_SHOWN = 256;

function pathOf(request: FastifyRequest): string {
  const end = request.url.indexOf("?");
  return (end === -1 ? request.url : request.url.slice(0, end)).slice(0, PATH_SHOWN);
}

/** Which request it was, for what it has begun. */
export function causeOf(request: FastifyRequest): Cause {
  return { requestId: request.id, span: request.span?.context };
}

export interface ObservationOptions {
  readonly metrics?: Metrics | undefined;
  readonly tracing?: Tracing | undefined;
}

/**
 * Tells of each request when its answer has ended or its client has gone: one line in the log, figures, and a span. Queries
 * are never told.
 */
export function observeRequests(fastify: FastifyInstance, { metrics, tracing }: ObservationOptions): void {
  const ended = (request: FastifyRequest, reply: FastifyReply): void => {
    const { method } = request;
    const route = request.routeOptions.url ?? null;
    const { statusCode: status, writableFinished } = reply.raw;
    const ms = Math.round(reply.elapsedTime * 1000) / 1000;
    const principal = request.caller?.principal.name ?? null;
    const line = {
      method,
      route,
      path: pathOf(request),
      status,
      ms,
      principal,
      address: request.ip,
      ...(writableFinished ? {} : { aborted: true }),
    };
    request.log.info(line, "request");
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
  fastify.addHook("onRequest", (request, reply, done) => {
    metrics?.requestBegan();
    if (tracing !== undefined) begin(request, tracing);
    reply.raw.once("close", () => ended(request, reply));
    done();
  });
}
