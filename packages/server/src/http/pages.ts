import type { FastifyReply, FastifyRequest } from "fastify";

/** Tells where the next page of a list is, if there is one: `Link: <…>; rel="next"`. */
export function linkNext(request: FastifyRequest, reply: FastifyReply, cursor: string | undefined): void {
  if (cursor !== undefined) linkTo(request, reply, "next", { cursor });
}

/** Tells where a neighbouring page is: the same address with other parameters. */
export function linkTo(
  request: FastifyRequest,
  reply: FastifyReply,
  relation: "next" | "prev",
  parameters: Readonly<Record<string, string | number | undefined>>,
): void {
  const url = new URL(request.url, "http://localhost");
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, String(value));
  reply.header("link", `<${url.pathname}${url.search}>; rel="${relation}"`);
}
