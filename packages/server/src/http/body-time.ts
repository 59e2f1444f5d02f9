import { ROUTES, type Route } from "@raworc/contract";
import type { FastifyInstance, FastifyRequest } from "fastify";

/** Cuts off whoever sends a body too slowly, but for bodies of bytes, whose handlers look after them. */
export function limitBodyTime(fastify: FastifyInstance, milliseconds: number): void {
  fastify.addHook("onRequest", async (request, reply) => {
    const { raw } = request;
    if (raw.complete || takesBytes(request)) return;
    const timer = setTimeout(() => raw.destroy(), milliseconds);
    const stop = (): void => clearTimeout(timer);
    raw.once("end", stop);
    raw.once("close", stop);
    // A body that was not wanted may never be read.
    reply.raw.once("close", stop);
  });
}

function takesBytes(request: FastifyRequest): boolean {
  const { guard } = request.routeOptions.config;
  if (guard === undefined || !("route" in guard)) return false;
  const route: Route = ROUTES[guard.route];
  return route.bytes === true;
}
