import type { FastifyInstance, FastifyRequest } from "fastify";
import { isLoopback } from "../config.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { bearerToken } from "./authentication.ts";
import { page } from "./server.ts";

/** Serves the figures: to this machine, and to whoever has a token. */
export function metricsPage(app: FastifyInstance, metrics: Metrics): void {
  page(app, "/metrics", async (request, reply) => {
    if (!isFromHere(request)) await app.api.authenticate(bearerToken(request.headers.authorization));
    return reply.type(metrics.contentType).send(await metrics.text());
  });
}

/** A proxy on this machine calls from here too, for somebody who isn't: it says so by its headers. */
function isFromHere({ headers, raw }: FastifyRequest): boolean {
  const isForwarded = Object.keys(headers).some((name) => /^(x-forwarded-|forwarded$|via$|x-real-ip$)/.test(name));
  const address = raw.socket.remoteAddress?.replace(/^::ffff:/, "");
  return !isForwarded && address !== undefined && isLoopback(address);
}
