import type { ROUTES, RouteName } from "@raworc/contract";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { z } from "zod";
import type { Target } from "../domain/access.ts";
import type { Caller } from "./authentication.ts";

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
  /** Aborted when the client goes away or the server begins to stop. */
  readonly signal: AbortSignal;
}

/** A call on a route that asks for a token, and by whom. */
export interface CallerCall<N extends RouteName> extends Call<N>, Caller {}

/** A call that was authorized on what `locate` found. */
export interface GuardedCall<N extends RouteName, Location extends Target> extends CallerCall<N> {
  readonly located: Location;
}

export type OpenCall<N extends OpenRouteName> = Definition<N>["access"] extends "self" ? CallerCall<N> : Call<N>;

type Immutable<T> = T extends readonly (infer Item)[] ? readonly Item[] : T;

/** What a handler gives back: the body of the answer, or SENT. */
export type Answer<N extends RouteName> =
  Definition<N> extends { readonly answer: infer Schema extends z.ZodType }
    ? Immutable<z.output<Schema>> | Sent
    : Definition<N>["status"] extends 204
      ? undefined
      : Sent;
