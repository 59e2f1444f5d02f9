import type { FastifyReply, FastifyRequest } from "fastify";

/** Tells where the next page of a list is, if there is one: `Link: <…>; rel="next"`. */
export function linkNext(request: FastifyRequest, reply: FastifyReply, cursor: string | undefined): void {
  if (cursor === undefined) return;
  const url = new URL(request.url, "http://localhost");
  url.searchParams.set("cursor", cursor);
  reply.header("link", `<${url.pathname}${url.search}>; rel="next"`);
}
