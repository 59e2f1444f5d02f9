import { isIP } from "node:net";
import { RaworcError } from "@raworc/contract";
import type { FastifyRequest } from "fastify";

type Check = (request: FastifyRequest) => RaworcError | undefined;

/**
 * Why a request is refused for the name that it was sent to; undefined where it is not. On a server for this machine only, where
 * `allowed` is given, other names are refused: a web page can make its own name lead to a loopback address, and would then
 * count as the same origin.
 */
export function hostCheck(allowed: readonly string[] | undefined): Check {
  /** Most clients send the same name again and again. */
  let good: string | undefined;
  return (request) => {
    const { host, raw } = request;
    if (raw.headers.host === undefined && raw.httpVersion !== "1.0") {
      return new RaworcError("bad_request", "The request has no Host header, which HTTP/1.1 asks for. Send one.");
    }
    if (allowed === undefined || host === good) return undefined;
    const name = request.hostname.replace(/^\[|\]$/g, "").toLowerCase();
    if (name !== "localhost" && !name.endsWith(".localhost") && isIP(name) === 0 && !allowed.includes(name)) {
      const detail = `This server is not known as ${JSON.stringify(name.slice(0, 100))}. Use localhost, or name it in RAWORC_ALLOWED_HOSTS.`;
      return new RaworcError("forbidden", detail);
    }
    good = host;
    return undefined;
  };
}
