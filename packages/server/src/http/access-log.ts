import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

const PATH_SHOWN = 256;

function pathOf(request: FastifyRequest): string {
  const end = request.url.indexOf("?");
  return (end === -1 ? request.url : request.url.slice(0, end)).slice(0, PATH_SHOWN);
}

/** Writes one line for each request, when its answer has ended or its client has gone. Queries are never logged. */
export function logAnswers(fastify: FastifyInstance): void {
  const write = (request: FastifyRequest, reply: FastifyReply): void => {
    const line = {
      method: request.method,
      route: request.routeOptions.url ?? null,
      path: pathOf(request),
      status: reply.raw.statusCode,
      ms: Math.round(reply.elapsedTime * 1000) / 1000,
      principal: request.caller?.principal.name ?? null,
      address: request.ip,
      ...(reply.raw.writableFinished ? {} : { aborted: true }),
    };
    request.log.info(line, "request");
  };
  fastify.addHook("onRequest", async (request, reply) => {
    reply.raw.once("close", () => write(request, reply));
  });
}
