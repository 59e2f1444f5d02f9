import type { IncomingMessage } from "node:http";
import { RaworcError } from "@raworc/contract";
import type { FastifyInstance } from "fastify";

/** Milliseconds without a byte after which an upload counts as given up. */
const SILENCE_MS = 120_000;

/** Lets the routes of a scope take bodies of any type and length: handlers read them from the request. */
export function acceptBytes(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser("*", (_request, payload, done) => done(null, payload));
}

/** The body's bytes. Whoever sends nothing for long is cut off. */
export function bytesOf(request: IncomingMessage): IncomingMessage {
  const late = (): void => {
    request.destroy(new RaworcError("bad_request", "The body has stopped coming. Send it again."));
  };
  const timer = setTimeout(late, SILENCE_MS);
  request.on("data", () => timer.refresh());
  request.pause();
  request.once("close", () => clearTimeout(timer));
  request.once("end", () => clearTimeout(timer));
  return request;
}
