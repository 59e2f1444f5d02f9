import { isDeepStrictEqual } from "node:util";
import { API_BASE, ROUTES, type Route, type RouteName } from "@raworc/contract";
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from "fastify";
import { z } from "zod";
import { authorize, hiddenError, type Target } from "../domain/access.ts";
import { bearerToken, type Caller } from "./authentication.ts";
import {
  type Answer,
  type Asked,
  type Call,
  type GuardedCall,
  type GuardedRouteName,
  type OpenCall,
  type OpenRouteName,
  SENT,
} from "./call.ts";
import { validationError } from "./problems.ts";
import { requestSignal } from "./request-signal.ts";

export interface RouteOptions<N extends GuardedRouteName, Location extends Target> {
  /**
   * Finds what the call is about, before any right is known. What is not there is `hiddenError`, thrown or by undefined,
   * so that it looks like what may not be seen.
   */
  readonly locate: (asked: Asked<N>, caller: Caller) => Location | undefined | Promise<Location | undefined>;
}

/** `locate` of calls about nothing in a space. */
export const OUTSIDE_SPACES = { space: null } as const satisfies Target;
/** `locate` of lists over all spaces; the handler shows what the principal's scope allows. */
export const ANY_SPACE = { space: "any" } as const satisfies Target;

/**
 * Registers a route of the contract that needs a right. The handler runs only for a caller who has the right on what
 * `locate` found, so no route can be without the step.
 */
export function route<N extends GuardedRouteName, Location extends Target>(
  app: FastifyInstance,
  name: N,
  options: RouteOptions<N, Location>,
  handler: (call: GuardedCall<N, Location>) => Promise<Answer<N>> | Answer<N>,
): void {
  const { access } = definitionOf(name);
  if (typeof access === "string") throw new Error(`${name} needs no right; register it with openRoute`);
  register(app, name, async (call) => {
    const caller = callerOf(call.request);
    const located = await options.locate(call, caller);
    if (located === undefined) throw hiddenError();
    authorize(caller.principal, access.verb, access.resource, located);
    return handler(withFields(call, { ...caller, located }) as GuardedCall<N, Location>);
  });
}

/** Registers a route of the contract that is public or about the caller himself. */
export function openRoute<N extends OpenRouteName>(
  app: FastifyInstance,
  name: N,
  handler: (call: OpenCall<N>) => Promise<Answer<N>> | Answer<N>,
): void {
  const { access } = definitionOf(name);
  if (typeof access !== "string") throw new Error(`${name} needs a right; register it with route`);
  register(app, name, async (call) => {
    const caller = access === "self" ? callerOf(call.request) : {};
    return handler(withFields(call, caller) as OpenCall<N>);
  });
}

function definitionOf(name: RouteName): Route {
  return ROUTES[name];
}

function callerOf(request: FastifyRequest): Caller {
  if (request.caller === null) throw new Error("The route was reached without authentication");
  return request.caller;
}

/** Keeps `signal` a getter: most calls never ask for one. */
function withFields(call: object, fields: object): unknown {
  return Object.defineProperties(fields, Object.getOwnPropertyDescriptors(call));
}

/** Bytes of a body from somebody who has shown no token. */
const PUBLIC_BODY_MAX = 64 * 1024;
const NOTHING = z.strictObject({});

function register<N extends RouteName>(app: FastifyInstance, name: N, run: (call: Call<N>) => Promise<unknown>): void {
  const definition = definitionOf(name);
  const methods: HTTPMethods[] = definition.method === "PUT" ? ["PUT", "PATCH"] : [definition.method];
  const authenticate = async (request: FastifyRequest): Promise<void> => {
    request.caller = await app.api.authenticate(bearerToken(request.headers.authorization));
  };
  app.route({
    method: methods,
    url: `${API_BASE}${definition.path}`,
    config: { guard: { route: name, access: definition.access } },
    ...(definition.access === "public" ? { bodyLimit: PUBLIC_BODY_MAX } : { onRequest: authenticate }),
    handler: async (request, reply) => {
      reply.code(definition.status);
      const answer = await run(readCall<N>(app, definition, request, reply));
      if (answer === SENT) return reply;
      return sendAnswer(app, name, reply, answer);
    },
  });
}

function readCall<N extends RouteName>(
  app: FastifyInstance,
  definition: Route,
  request: FastifyRequest,
  reply: FastifyReply,
): Call<N> {
  const params = (definition.params ?? NOTHING).safeParse(request.params);
  // A name or id that can't exist is nothing that anybody could find.
  if (!params.success) throw hiddenError();
  const query = parsePart(definition.query, request.query, "query");
  const body = parsePart(definition.body, request.body ?? (request.body === undefined ? {} : null), "body");
  let signal: AbortSignal | undefined;
  const call: unknown = {
    params: params.data,
    query,
    body,
    request,
    reply,
    get signal() {
      signal ??= requestSignal(reply.raw, app.api.closing);
      return signal;
    },
  };
  return call as Call<N>;
}

function parsePart(schema: z.ZodType | undefined, input: unknown, origin: "query" | "body"): unknown {
  const result = (schema ?? NOTHING).safeParse(input);
  if (!result.success) throw validationError(result.error, input, origin);
  return result.data;
}

function sendAnswer(app: FastifyInstance, name: RouteName, reply: FastifyReply, answer: unknown): FastifyReply {
  if (answer === undefined) return reply.send();
  const text = JSON.stringify(answer);
  if (app.api.checkAnswers) checkAnswer(name, definitionOf(name), text);
  return reply.type("application/json; charset=utf-8").send(text);
}

/** Throws when an answer is not what the contract says, or has fields that the contract does not name. */
function checkAnswer(name: RouteName, definition: Route, text: string): void {
  const sent: unknown = JSON.parse(text);
  const result = (definition.answer ?? NOTHING).safeParse(sent);
  if (!result.success) throw new Error(`The answer of ${name} breaks its contract: ${z.prettifyError(result.error)}`);
  if (!isDeepStrictEqual(result.data, sent))
    throw new Error(`The answer of ${name} has fields its contract lacks: ${text}`);
}
