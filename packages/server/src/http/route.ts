import { isDeepStrictEqual } from "node:util";
import { API_BASE, ROUTES, type Route, type RouteName } from "@raworc/contract";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import type { Caller } from "../access/caller.ts";
import { hiddenError, type Target } from "../domain/access.ts";
import { askedReader, NOTHING } from "./asked-reader.ts";
import { authentication } from "./authentication.ts";
import {
  type Answer,
  type Asked,
  type GuardedCall,
  type GuardedRouteName,
  type OpenCall,
  type OpenRouteName,
  SENT,
  WrittenAnswer,
} from "./call.ts";
import { auditedAs } from "./call-audit.ts";
import { etagOfText } from "./etag.ts";
import { idempotencyKeyOf } from "./idempotency.ts";
import { answerOnce, keptHeaders } from "./keyed-call.ts";
import { methodsOf, pathsOf } from "./route-variants.ts";
import { RunningCall } from "./running-call.ts";

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
  const proceed = (call: RunningCall, located: Location | undefined) => {
    if (located === undefined) throw hiddenError();
    call.locate(located);
    call.requireRight(access, located);
    const guarded = call as unknown as GuardedCall<N, Location>;
    const key = isKeyed ? idempotencyKeyOf(call.request.headers["idempotency-key"]) : undefined;
    const { idempotency } = app.api;
    if (key === undefined || idempotency === undefined) return handler(guarded);
    const asked = { key, principalId: call.principal.id, route: name, status: definition.status };
    return answerOnce(idempotency, asked, guarded, call, {
      handle: () => handler(guarded),
      goOn: options.goOn && ((foreseen) => options.goOn?.(guarded, foreseen)),
    });
  };
  register(app, name, (call) => {
    const located = options.locate(call as unknown as Asked<N>, call.caller);
    return located instanceof Promise ? located.then((found) => proceed(call, found)) : proceed(call, located);
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
  register(app, name, (call) => {
    if (access === "self") call.locate(OUTSIDE_SPACES);
    return handler(call as unknown as OpenCall<N>);
  });
}

function definitionOf(name: RouteName): Route {
  return ROUTES[name];
}

/** Bytes of a body from somebody who has shown no token. */
const PUBLIC_BODY_MAX = 64 * 1024;

type Run = (call: RunningCall) => unknown;

function register(app: FastifyInstance, name: RouteName, run: Run): void {
  const definition = definitionOf(name);
  const words = auditedAs(name, definition);
  const isRead = typeof definition.access === "object" && definition.access.verb === "get";
  const isChange = definition.method !== "GET" && definition.access !== "public" && !isRead;
  const read = askedReader(definition);
  const work = (call: RunningCall): unknown => {
    read(call);
    return run(call);
  };
  const fail = async (call: RunningCall, error: unknown): Promise<never> => {
    if (definition.access !== "public") await app.api.audit?.failed(call.note, error, isChange);
    await call.keyed?.failed(error).catch((failure: unknown) => logUnkept(call.request, failure));
    throw error;
  };
  const finish = async (call: RunningCall, answer: unknown): Promise<FastifyReply> => {
    try {
      const answered = await answer;
      if (answered !== SENT) return await sendKept(app, name, call, answered);
      await call.keyed?.sent().catch((error: unknown) => logUnkept(call.request, error));
      return call.reply;
    } catch (error) {
      return fail(call, error);
    }
  };
  // What needs to wait for nothing is answered in the same turn: promises would cost as much as the rest of a short read.
  const handler = (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> | undefined => {
    const { audit } = app.api;
    if (definition.status !== 200) reply.code(definition.status);
    const call = new RunningCall(app.api, words, request, reply);
    try {
      const answer = isChange && audit !== undefined ? audit.change(call.note, async () => work(call)) : work(call);
      if (answer instanceof Promise || answer === SENT) return finish(call, answer);
      sendText(reply, answer, textOf(app, name, answer));
      return undefined;
    } catch (error) {
      return fail(call, error);
    }
  };
  for (const path of pathsOf(definition)) {
    app.route({
      method: methodsOf(definition),
      url: `${API_BASE}${path}`,
      config: { guard: { route: name, access: definition.access } },
      ...(definition.access === "public"
        ? { bodyLimit: PUBLIC_BODY_MAX }
        : { onRequest: authentication(app.api, words) }),
      handler,
    });
  }
}

/** Sends an answer, after it was kept where its request has an Idempotency-Key. */
async function sendKept(
  app: FastifyInstance,
  name: RouteName,
  call: RunningCall,
  answer: unknown,
): Promise<FastifyReply> {
  const { keyed, reply } = call;
  const text = textOf(app, name, answer);
  if (keyed !== undefined) {
    const kept = { status: reply.statusCode, headers: keptHeaders(reply), body: text ?? null };
    await keyed.kept(kept).catch((error: unknown) => logUnkept(reply.request, error));
  }
  return sendText(reply, answer, text);
}

function textOf(app: FastifyInstance, name: RouteName, answer: unknown): string | undefined {
  const text =
    answer instanceof WrittenAnswer ? answer.text : answer === undefined ? undefined : JSON.stringify(answer);
  if (app.api.checkAnswers && text !== undefined) checkAnswer(name, definitionOf(name), text);
  return text;
}

function sendText(reply: FastifyReply, answer: unknown, text: string | undefined): FastifyReply {
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
