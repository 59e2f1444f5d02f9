import { ROUTES, type Route } from "@raworc/contract";
import type { FastifyReply, FastifyRequest } from "fastify";
import { hasBody } from "./json-body.ts";

/** Cuts off whoever sends a body too slowly, but for bodies of bytes, whose handlers look after them. */
export function limitBodyTime(request: FastifyRequest, reply: FastifyReply, milliseconds: number): void {
  const { raw } = request;
  if (!hasBody(raw.headers) || raw.complete || takesBytes(request)) return;
  const timer = setTimeout(() => raw.destroy(), milliseconds);
  const stop = (): void => clearTimeout(timer);
  raw.once("end", stop);
  raw.once("close", stop);
  // A body that was not wanted may never be read.
  reply.raw.once("close", stop);
}

function takesBytes(request: FastifyRequest): boolean {
  const { guard } = request.routeOptions.config;
  if (guard === undefined || !("route" in guard)) return false;
  const route: Route = ROUTES[guard.route];
  return route.bytes === true;
}
