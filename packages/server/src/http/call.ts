import type { Resource, ROUTES, RouteName, Verb } from "@raworc/contract";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { z } from "zod";
import type { Caller } from "../access/caller.ts";
import type { AuditNote } from "../audit/audit-note.ts";
import type { Target } from "../domain/access.ts";

type Definition<N extends RouteName> = (typeof ROUTES)[N];
type Parsed<N extends RouteName, Part extends string> =
  Definition<N> extends Readonly<Record<Part, infer Schema extends z.ZodType>>
    ? z.output<Schema>
    : Readonly<Record<string, never>>;

/** Routes that need a right. */
export type GuardedRouteName = {
  [N in RouteName]: Definition<N>["access"] extends string ? never : N;
}[RouteName];
/** Routes that need no right: public ones, and those about the caller. */
export type OpenRouteName = Exclude<RouteName, GuardedRouteName>;

/** Says that the handler has answered, or goes on answering, by the reply itself. */
export const SENT = Object.freeze({ sent: true as const });
export type Sent = typeof SENT;

/** What a request asks, checked against the contract. */
export interface Asked<N extends RouteName> {
  readonly params: Parsed<N, "params">;
  readonly query: Parsed<N, "query">;
  readonly body: Parsed<N, "body">;
}

/** What a handler gets of every request. */
export interface Call<N extends RouteName> extends Asked<N> {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /**
   * Aborted when the client goes away, the server stops, or the caller may no longer make this call: his token was revoked,
   * or his right taken away. Who uses it is watched.
   */
  readonly signal: AbortSignal;
  /** What the audit tells of this call. */
  readonly note: AuditNote;
  /**
   * Writes the call's audit event now. For what must never happen untold and changes no record: reading secret values,
   * running commands. Changes in the store carry their event by themselves.
   */
  readonly audited: () => Promise<void>;
  /** Throws `precondition_failed` unless the object is what If-Match names; to be asked in the transaction that changes it. */
  readonly ifMatch: (basis: unknown) => void;
  /**
   * Tells in the transaction of the change what the answer is, and gives it back: a request that is repeated under its
   * Idempotency-Key gets that even when the server dies before it can answer. Not final is what is answered only if nobody
   * can go on with the call any more.
   */
  readonly foresee: <T>(answer: T, isFinal?: boolean) => T;
}

/** A call on a route that asks for a token, and by whom. */
export interface CallerCall<N extends RouteName> extends Call<N>, Caller {
  /** Asks for one more right. Throws `forbidden` or `not_found`. */
  readonly authorize: (verb: Verb, resource: Resource, target: Target) => void;
}

/** A call that was authorized on what `locate` found. */
export interface GuardedCall<N extends RouteName, Location extends Target> extends CallerCall<N> {
  readonly located: Location;
}

export type OpenCall<N extends OpenRouteName> = Definition<N>["access"] extends "self" ? CallerCall<N> : Call<N>;

/** An answer that is written already, as JSON. */
export class WrittenAnswer<T> {
  readonly answer: T;
  readonly text: string;

  constructor(answer: T) {
    this.answer = answer;
    this.text = JSON.stringify(answer);
  }
}

type Immutable<T> = T extends readonly (infer Item)[] ? readonly Item[] : T;

/** What a handler gives back: the body of the answer, written or not, or SENT. */
export type Answer<N extends RouteName> =
  Definition<N> extends { readonly answer: infer Schema extends z.ZodType }
    ? Immutable<z.output<Schema>> | WrittenAnswer<Immutable<z.output<Schema>>> | Sent
    : Definition<N>["status"] extends 204
      ? undefined
      : Sent;
