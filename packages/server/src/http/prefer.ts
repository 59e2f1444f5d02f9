import type { FastifyReply, FastifyRequest } from "fastify";

const WAIT = /(?:^|,)\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=[,;]|$)/i;

/**
 * How long the caller wishes to wait, by `Prefer: wait=N` in seconds, and at most `limitMs`; the answer says so. A wish that
 * can't be read is none, as RFC 7240 has it.
 */
export function preferredWaitMs(request: FastifyRequest, reply: FastifyReply, limitMs: number): number | undefined {
  const header = [request.headers["prefer"]].flat().join(",");
  const seconds = WAIT.exec(header)?.[1];
  if (seconds === undefined) return undefined;
  const milliseconds = Math.min(Number(seconds) * 1000, limitMs);
  reply.header("preference-applied", `wait=${milliseconds / 1000}`);
  return milliseconds;
}
