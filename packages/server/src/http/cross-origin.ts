import type { FastifyInstance, FastifyReply } from "fastify";

export interface CrossOriginOptions {
  /** Origins whose pages may call: `https://console.example`, or `*`. */
  readonly origins: readonly string[];
}

const METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE";
const REQUEST_HEADERS = "authorization, content-type, idempotency-key, if-match, last-event-id, prefer, x-request-id";
const ANSWER_HEADERS = "etag, idempotency-replayed, link, location, preference-applied, retry-after, x-request-id";
const MAX_AGE_SECONDS = "600";

/** Lets pages of the configured origins call. Cookies play no part: tokens are sent by hand. */
export function handleCrossOrigin(fastify: FastifyInstance, options: CrossOriginOptions): void {
  if (options.origins.length === 0) return;
  const isAllowed = (origin: string): boolean => options.origins.includes("*") || options.origins.includes(origin);
  const allow = (reply: FastifyReply, origin: string): FastifyReply =>
    reply.headers({
      "access-control-allow-origin": origin,
      "access-control-expose-headers": ANSWER_HEADERS,
      "cross-origin-resource-policy": "cross-origin",
    });
  fastify.addHook("onRequest", async (request, reply) => {
    reply.header("vary", "origin");
    const { origin } = request.headers;
    if (origin === undefined || !isAllowed(origin)) return;
    allow(reply, origin);
    if (request.method !== "OPTIONS" || request.headers["access-control-request-method"] === undefined) return;
    await reply
      .code(204)
      .headers({
        "access-control-allow-methods": METHODS,
        "access-control-allow-headers": REQUEST_HEADERS,
        "access-control-max-age": MAX_AGE_SECONDS,
      })
      .send();
  });
}
