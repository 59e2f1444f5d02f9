import type { ROUTES, RouteName } from "@raworc/contract";
import type { z } from "zod";

type Definition<N extends RouteName> = (typeof ROUTES)[N];
type Schema<N extends RouteName, Part extends string> =
  Definition<N> extends Readonly<Record<Part, infer Found extends z.ZodType>> ? Found : undefined;

export type QueryValue = string | number | boolean;

/** What every call may be given. */
export interface RequestOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

/** A call by a route's name alone, for callers that work by tables; the server checks what is sent. */
export interface UntypedOptions extends RequestOptions {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, QueryValue | undefined>>;
  readonly body?: unknown;
}

type ParamsPart<N extends RouteName> =
  Schema<N, "params"> extends z.ZodType
    ? { readonly params: z.input<Schema<N, "params">> }
    : { readonly params?: undefined };
type QueryPart<N extends RouteName> =
  Schema<N, "query"> extends z.ZodType
    ? { readonly query?: { readonly [Key in keyof z.input<Schema<N, "query">>]?: QueryValue | undefined } }
    : { readonly query?: undefined };
type BodyPart<N extends RouteName> =
  Schema<N, "body"> extends z.ZodType
    ? object extends z.input<Schema<N, "body">>
      ? { readonly body?: z.input<Schema<N, "body">> }
      : { readonly body: z.input<Schema<N, "body">> }
    : { readonly body?: undefined };

/** Parameters, query and body of a route, as the contract types them. */
export type CallOptions<N extends RouteName> = ParamsPart<N> & QueryPart<N> & BodyPart<N> & RequestOptions;
/** The options may be left out where nothing is required. */
export type CallRest<N extends RouteName> =
  Record<never, never> extends CallOptions<N>
    ? readonly [options?: CallOptions<N>]
    : readonly [options: CallOptions<N>];

export type CallAnswer<N extends RouteName> =
  Schema<N, "answer"> extends z.ZodType ? z.output<Schema<N, "answer">> : undefined;

/** Routes whose answer is a list. */
export type ListRouteName = {
  [N in RouteName]: CallAnswer<N> extends readonly unknown[] ? N : never;
}[RouteName];
export type ListItem<N extends ListRouteName> = CallAnswer<N> extends readonly (infer Item)[] ? Item : never;
