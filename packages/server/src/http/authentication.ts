import { isRaworcError, RaworcError } from "@raworc/contract";
import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from "fastify";
import type { Caller } from "../access/caller.ts";
import { type AuditWords, noteOf } from "./call-audit.ts";
import type { Api } from "./server.ts";

const TOKEN_MAX = 8192;
const SCHEME = "Bearer ";
const BEARER = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i;

/** The token of an Authorization header. Throws `unauthenticated` where there is none. */
export function bearerToken(header: string | undefined): string {
  if (header === undefined) {
    throw new RaworcError(
      "unauthenticated",
      "Send a token: Authorization: Bearer <token>. POST /api/v0/auth/login gives one.",
    );
  }
  // Nearly all are written so. What is no token after all will be found out by whoever reads it.
  const isPlain = header.startsWith(SCHEME) && header.length > SCHEME.length && !header.includes(" ", SCHEME.length);
  const found = isPlain ? header.slice(SCHEME.length) : BEARER.exec(header)?.[1];
  const token = header.length > TOKEN_MAX ? undefined : found;
  if (token === undefined) {
    throw new RaworcError("unauthenticated", "The Authorization header is not of the form: Bearer <token>.");
  }
  return token;
}

type OnRequest = (request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction) => void;

/** The step that makes a caller of whoever sends a request, and counts his requests. Who is known need not wait. */
export function authentication(api: Api, words: AuditWords): OnRequest {
  const accept = (request: FastifyRequest, caller: Caller): void => {
    request.caller = caller;
    api.rates?.take(caller.principal.id);
  };
  const tell = async (request: FastifyRequest, error: unknown): Promise<void> => {
    if (isRaworcError(error, "unauthenticated")) await api.audit?.unauthenticated(noteOf(words, request));
  };
  return (request, _, done) => {
    const refuse = (error: Error): void => void tell(request, error).then(() => done(error), done);
    let caller: Caller | Promise<Caller>;
    try {
      caller = api.authenticate(bearerToken(request.headers.authorization));
      if (!(caller instanceof Promise)) accept(request, caller);
    } catch (error) {
      refuse(error as Error);
      return;
    }
    if (caller instanceof Promise) caller.then((found) => accept(request, found)).then(() => done(), refuse);
    else done();
  };
}
