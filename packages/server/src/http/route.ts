import { isDeepStrictEqual } from "node:util";
import { API_BASE, isRaworcError, ROUTES, type Route, type RouteName } from "@raworc/contract";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import type { Caller } from "../access/caller.ts";
import type { AuditNote } from "../audit/audit-note.ts";
import { allows, authorize, hiddenError, type Principal, type Target } from "../domain/access.ts";
import { bearerToken } from "./authentication.ts";
import {
  type Answer,
  type Asked,
  type Call,
  type CallerCall,
  type GuardedCall,
  type GuardedRouteName,
  type OpenCall,
  type OpenRouteName,
  SENT,
} from "./call.ts";
import { auditedAs, describeTarget, noteOf } from "./call-audit.ts";
import { checkIfMatch, etagOfText } from "./etag.ts";
import { idempotencyKeyOf } from "./idempotency.ts";
import { answerOnce, type KeyedStanding, keptHeaders } from "./keyed-call.ts";
import type { KeyedRequest } from "./keyed-request.ts";
import { validationError } from "./problems.ts";
import { requestSignal, type WatchCaller } from "./request-signal.ts";
import { methodsOf, pathsOf } from "./route-variants.ts";

export interface RouteOptions<N extends GuardedRouteName, Location extends Target> {
  /**
   * Finds what the call is about, before any right is known. What is not there is `hiddenError`, thrown or by undefined,
   * so that it looks like what may not be seen.
   */
  readonly locate: (asked: Asked<N>, caller: Caller) => Location | undefined | Promise<Location | undefined>;
  /**
   * Goes on with a call that is repeated under its Idempotency-Key, whose change is there and whose end was lost with its
   * server. It gets what was foreseen as the answer, and must not change anything again.
   */
  readonly goOn?: (call: GuardedCall<N, Location>, foreseen: unknown) => Promise<Answer<N>> | Answer<N>;
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
  const definition = definitionOf(name);
  const { access } = definition;
  if (typeof access === "string") throw new Error(`${name} needs no right; register it with openRoute`);
  // What is sent into a session as it comes is the session's to understand, its keys too.
  const isKeyed = definition.method === "POST" && definition.bytes !== true;
  register(app, name, async (call, standing) => {
    const caller = callerOf(call.request);
    const located = await options.locate(call, caller);
    if (located === undefined) throw hiddenError();
    describeTarget(call.note, located, call.params as object);
    const ask = asking(caller, call.note);
    ask(access.verb, access.resource, located);
    standing.mayGoOn = (principal) => allows(principal, access.verb, access.resource, located);
    const guarded = Object.assign(call, caller, { authorize: ask, located }) as unknown as GuardedCall<N, Location>;
    const key = isKeyed ? idempotencyKeyOf(call.request.headers["idempotency-key"]) : undefined;
    const { idempotency } = app.api;
    if (key === undefined || idempotency === undefined) return handler(guarded);
    const asked = { key, principalId: caller.principal.id, route: name, status: definition.status };
    return answerOnce(idempotency, asked, guarded, standing, {
      handle: () => handler(guarded),
      goOn: options.goOn && ((foreseen) => options.goOn?.(guarded, foreseen)),
    });
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
    if (access === "public") return handler(call as OpenCall<N>);
    const caller = callerOf(call.request);
    describeTarget(call.note, OUTSIDE_SPACES, call.params as object);
    return handler(Object.assign(call, caller, { authorize: asking(caller, call.note) }) as unknown as OpenCall<N>);
  });
}

/** Authorizes, and notes a refusal as such, however it looks to the caller. */
function asking(caller: Caller, note: AuditNote): CallerCall<RouteName>["authorize"] {
  return (verb, resource, target) => {
    try {
      authorize(caller.principal, verb, resource, target);
    } catch (error) {
      note.refused = true;
      throw error;
    }
  };
}

function definitionOf(name: RouteName): Route {
  return ROUTES[name];
}

function callerOf(request: FastifyRequest): Caller {
  if (request.caller === null) throw new Error("The route was reached without authentication");
  return request.caller;
}

/** Bytes of a body from somebody who has shown no token. */
const PUBLIC_BODY_MAX = 64 * 1024;
const NOTHING = z.strictObject({});

/** What is known of a call beside what it asks. */
interface Standing extends KeyedStanding {
  /** What a call that lasts goes on by. */
  mayGoOn: (principal: Principal) => boolean;
}

type Run<N extends RouteName> = (call: Call<N>, standing: Standing) => Promise<unknown>;

function register<N extends RouteName>(app: FastifyInstance, name: N, run: Run<N>): void {
  const definition = definitionOf(name);
  const words = auditedAs(name, definition);
  const isRead = typeof definition.access === "object" && definition.access.verb === "get";
  const isChange = definition.method !== "GET" && definition.access !== "public" && !isRead;
  const authenticate = async (request: FastifyRequest): Promise<void> => {
    try {
      request.caller = await app.api.authenticate(bearerToken(request.headers.authorization));
      app.api.rates?.take(request.caller.principal.id);
    } catch (error) {
      if (isRaworcError(error, "unauthenticated")) {
        await app.api.audit?.unauthenticated(noteOf(words, request));
      }
      throw error;
    }
  };
  const handler = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const { audit } = app.api;
    reply.code(definition.status);
    const note = noteOf(words, request);
    const standing: Standing = { mayGoOn: () => true, keyed: undefined };
    const work = () => run(readCall<N>(app, definition, request, reply, note, standing), standing);
    try {
      const answer = await (isChange && audit !== undefined ? audit.change(note, async () => work()) : work());
      if (answer !== SENT) return await sendAnswer(app, name, reply, answer, standing.keyed);
      await standing.keyed?.sent().catch((error: unknown) => logUnkept(request, error));
      return reply;
    } catch (error) {
      if (definition.access !== "public") await audit?.failed(note, error, isChange);
      await standing.keyed?.failed(error).catch((failure: unknown) => logUnkept(request, failure));
      throw error;
    }
  };
  for (const path of pathsOf(definition)) {
    app.route({
      method: methodsOf(definition),
      url: `${API_BASE}${path}`,
      config: { guard: { route: name, access: definition.access } },
      ...(definition.access === "public" ? { bodyLimit: PUBLIC_BODY_MAX } : { onRequest: authenticate }),
      handler,
    });
  }
}

function readCall<N extends RouteName>(
  app: FastifyInstance,
  definition: Route,
  request: FastifyRequest,
  reply: FastifyReply,
  note: AuditNote,
  standing: Standing,
): Call<N> {
  const params = (definition.params ?? NOTHING).safeParse(request.params);
  // A name or id that can't exist is nothing that anybody could find.
  if (!params.success) throw hiddenError();
  const query = parsePart(definition.query, request.query, "query");
  const isBytes = definition.bytes === true;
  const given = request.body ?? (request.body === undefined ? {} : null);
  const body = isBytes ? {} : parsePart(definition.body, given, "body");
  if (definition.method === "PUT" && !isBytes) note.details = { fields: Object.keys(body as object) };
  let signal: AbortSignal | undefined;
  const call: unknown = {
    params: params.data,
    query,
    body,
    request,
    reply,
    note,
    audited: async () => app.api.audit?.allowed(note),
    ifMatch: (basis: unknown) => checkIfMatch(request.headers["if-match"], basis),
    foresee: <T>(answer: T, isFinal = true): T => {
      standing.keyed?.foresee(answer, isFinal);
      return answer;
    },
    get signal() {
      signal ??= requestSignal(reply.raw, app.api, watcherOf(app, request, standing));
      return signal;
    },
  };
  return call as Call<N>;
}

function watcherOf(app: FastifyInstance, request: FastifyRequest, standing: Standing): WatchCaller | undefined {
  const { watch } = app.api;
  const { caller } = request;
  if (watch === undefined || caller === null) return undefined;
  return (end) => watch(caller, (principal) => standing.mayGoOn(principal), end);
}

function parsePart(schema: z.ZodType | undefined, input: unknown, origin: "query" | "body"): unknown {
  const result = (schema ?? NOTHING).safeParse(input);
  if (!result.success) throw validationError(result.error, input, origin);
  return result.data;
}

async function sendAnswer(
  app: FastifyInstance,
  name: RouteName,
  reply: FastifyReply,
  answer: unknown,
  keyed: KeyedRequest | undefined,
): Promise<FastifyReply> {
  const text = answer === undefined ? undefined : JSON.stringify(answer);
  if (app.api.checkAnswers && text !== undefined) checkAnswer(name, definitionOf(name), text);
  if (keyed !== undefined) {
    const kept = { status: reply.statusCode, headers: keptHeaders(reply), body: text ?? null };
    await keyed.kept(kept).catch((error: unknown) => logUnkept(reply.request, error));
  }
  if (text === undefined) return reply.send();
  // A handler has set another one where an answer says more than the object does.
  if (!Array.isArray(answer) && !reply.hasHeader("etag")) reply.header("etag", etagOfText(text));
  return reply.type("application/json; charset=utf-8").send(text);
}

/** The answer stands all the same: whoever repeats the request is told what can be told. */
function logUnkept(request: FastifyRequest, error: unknown): void {
  request.log.warn({ err: error }, "the answer to an idempotency key was not kept");
}

/** Throws when an answer is not what the contract says, or has fields that the contract does not name. */
function checkAnswer(name: RouteName, definition: Route, text: string): void {
  const sent: unknown = JSON.parse(text);
  const result = (definition.answer ?? NOTHING).safeParse(sent);
  if (!result.success) throw new Error(`The answer of ${name} breaks its contract: ${z.prettifyError(result.error)}`);
  if (!isDeepStrictEqual(result.data, sent))
    throw new Error(`The answer of ${name} has fields its contract lacks: ${text}`);
}
