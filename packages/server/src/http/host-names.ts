import { isIP } from "node:net";
import { RaworcError } from "@raworc/contract";
import type { FastifyInstance } from "fastify";

/**
 * On a server for this machine only, refuses requests that were sent to another name: a web page can make its own name lead
 * to a loopback address, and would then count as the same origin.
 */
export function checkHostNames(fastify: FastifyInstance, allowed: readonly string[]): void {
  /** Most clients send the same name again and again. */
  let good: string | undefined;
  fastify.addHook("onRequest", (request, _, done) => {
    const { host } = request;
    if (host === good) {
      done();
      return;
    }
    const name = request.hostname.replace(/^\[|\]$/g, "").toLowerCase();
    if (name === "localhost" || name.endsWith(".localhost") || isIP(name) !== 0 || allowed.includes(name)) {
      good = host;
      done();
      return;
    }
    const detail = `This server is not known as ${JSON.stringify(name.slice(0, 100))}. Use localhost, or name it in RAWORC_ALLOWED_HOSTS.`;
    done(new RaworcError("forbidden", detail));
  });
}
