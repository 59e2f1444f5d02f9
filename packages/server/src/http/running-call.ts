import type { Resource, Verb } from "@raworc/contract";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Caller } from "../access/caller.ts";
import type { AuditNote } from "../audit/audit-note.ts";
import { allows, authorize, type Principal, type Target } from "../domain/access.ts";
import type { Call, CallerCall } from "./call.ts";
import { type AuditWords, describeTarget, noteOf } from "./call-audit.ts";
import { checkIfMatch } from "./etag.ts";
import type { KeyedStanding } from "./keyed-call.ts";
import type { KeyedRequest } from "./keyed-request.ts";
import { requestSignal } from "./request-signal.ts";
import type { Api } from "./server.ts";

type AnyCall = Call<never> & CallerCall<never>;

export interface Right {
  readonly verb: Verb;
  readonly resource: Resource;
}

/**
 * One call, as handlers and the steps around them know it. What most calls have no use for is made when it is asked for:
 * a short read would take twice as long with all of it.
 */
export class RunningCall implements KeyedStanding {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  params: unknown;
  query: unknown;
  body: unknown;
  keyed: KeyedRequest | undefined = undefined;
  located: Target | undefined = undefined;
  readonly #api: Api;
  readonly #words: AuditWords;
  #right: Right | undefined;
  #note: AuditNote | undefined;
  #signal: AbortSignal | undefined;

  constructor(api: Api, words: AuditWords, request: FastifyRequest, reply: FastifyReply) {
    this.#api = api;
    this.#words = words;
    this.request = request;
    this.reply = reply;
  }

  get caller(): Caller {
    const { caller } = this.request;
    if (caller === null) throw new Error("The route was reached without authentication");
    return caller;
  }

  get principal(): Caller["principal"] {
    return this.caller.principal;
  }

  get token(): Caller["token"] {
    return this.caller.token;
  }

  get note(): AuditNote {
    if (this.#note === undefined) {
      this.#note = noteOf(this.#words, this.request);
      this.#describe();
    }
    return this.#note;
  }

  get signal(): AbortSignal {
    this.#signal ??= requestSignal(this.reply.raw, this.#api, this.#watcher());
    return this.#signal;
  }

  get audited(): AnyCall["audited"] {
    return async () => this.#api.audit?.allowed(this.note);
  }

  get ifMatch(): AnyCall["ifMatch"] {
    return (basis) => checkIfMatch(this.request.headers["if-match"], basis);
  }

  get foresee(): AnyCall["foresee"] {
    return (answer, isFinal = true) => {
      this.keyed?.foresee(answer, isFinal);
      return answer;
    };
  }

  get authorize(): AnyCall["authorize"] {
    return (verb, resource, target) => this.#authorize(verb, resource, target);
  }

  /** The call is about this. */
  locate(target: Target): void {
    this.located = target;
    if (this.#note !== undefined) this.#describe();
  }

  /** Throws `forbidden` or `not_found` unless the caller has the right on what the call is about. */
  requireRight(right: Right, target: Target): void {
    this.#authorize(right.verb, right.resource, target);
    this.#right = right;
  }

  /** Authorizes, and notes a refusal as such, however it looks to the caller. */
  #authorize(verb: Verb, resource: Resource, target: Target): void {
    try {
      authorize(this.principal, verb, resource, target);
    } catch (error) {
      this.note.refused = true;
      throw error;
    }
  }

  #describe(): void {
    if (this.located !== undefined) describeTarget(this.note, this.located, this.params as object);
  }

  #watcher() {
    const { watch } = this.#api;
    const { caller } = this.request;
    if (watch === undefined || caller === null) return undefined;
    return (end: (reason: Error) => void) => watch(caller, (principal) => this.#mayGoOn(principal), end);
  }

  /** What a call that lasts goes on by. */
  #mayGoOn(principal: Principal): boolean {
    const { located } = this;
    const right = this.#right;
    return right === undefined || located === undefined || allows(principal, right.verb, right.resource, located);
  }
}
