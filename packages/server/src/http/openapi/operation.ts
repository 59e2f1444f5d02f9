import type { Route, RouteName } from "@raworc/contract";
import { z } from "zod";
import type { JsonSchema, SchemaComponents } from "./schema-components.ts";

/** Name of the response that every problem is. */
export const PROBLEM_RESPONSE = "Problem";

export interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required: boolean;
  readonly description?: string;
  readonly schema: JsonSchema;
}

export type Content = Readonly<Record<string, { readonly schema: JsonSchema }>>;

export interface Response {
  readonly description: string;
  readonly headers?: Readonly<Record<string, { readonly schema: JsonSchema; readonly description: string }>>;
  readonly content?: Content;
}

export interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly description: string;
  readonly tags: readonly string[];
  /** Empty where no token is needed. */
  readonly security?: readonly never[];
  readonly parameters: readonly Parameter[];
  readonly requestBody?: { readonly required: boolean; readonly content: Content };
  readonly responses: Readonly<Record<string, Response | { readonly $ref: string }>>;
}

const TEXT: JsonSchema = { type: "string" };
const JSON_TYPE = "application/json";
const DONE: Readonly<Record<number, string>> = { 200: "Done", 201: "Made", 202: "Begun", 204: "Done; no body" };

/** One of the methods and paths that a route is registered under. */
export interface Variant {
  readonly method: string;
  readonly path: string;
}

/** Describes one call under one of its methods and paths. */
export function operationOf(
  name: RouteName,
  route: Route,
  { method, path }: Variant,
  components: SchemaComponents,
): Operation {
  const suffix = `${method === route.method ? "" : `.${method.toLowerCase()}`}${path === route.path ? "" : ".root"}`;
  return {
    operationId: `${name}${suffix}`,
    summary: route.summary,
    description: describeAccess(route),
    tags: [tagOf(name)],
    ...(route.access === "public" ? { security: [] } : {}),
    parameters: [...pathParameters(route, path, components), ...queryParameters(route, components), ...headers(route)],
    ...requestBody(route, components),
    responses: { ...successes(route, components), ...problems(route) },
  };
}

/** The noun that a call belongs to. */
export function tagOf(name: RouteName): string {
  const [noun = ""] = name.split(".");
  return noun === "health" || noun === "version" ? "system" : noun;
}

function describeAccess({ access }: Route): string {
  if (access === "public") return "Needs no token.";
  if (access === "self") return "Needs a token, and no right.";
  return `Needs the right \`${access.verb}\` on \`${access.resource}\`.`;
}

function propertiesOf(schema: JsonSchema): [string, JsonSchema][] {
  return Object.entries((schema["properties"] ?? {}) as Record<string, JsonSchema>);
}

function pathParameters({ params }: Route, path: string, components: SchemaComponents): Parameter[] {
  const known = new Map(params === undefined ? [] : propertiesOf(components.inlined(params)));
  const names = [...path.matchAll(/:([a-z_]+)|\*$/g)].map(([, name]) => name ?? "*");
  return names.map((name) => ({
    name: name === "*" ? "path" : name,
    in: "path",
    required: true,
    schema: known.get(name) ?? TEXT,
  }));
}

function queryParameters({ query }: Route, components: SchemaComponents): Parameter[] {
  if (query === undefined) return [];
  const schema = components.inlined(query);
  const required = (schema["required"] ?? []) as readonly string[];
  return propertiesOf(schema).map(([name, of]) => ({
    name,
    in: "query",
    required: required.includes(name),
    schema: of,
  }));
}

const header = (name: string, description: string): Parameter => ({
  name,
  in: "header",
  required: false,
  description,
  schema: TEXT,
});

function headers({ media, method, path, query }: Route): Parameter[] {
  const found = [header("X-Request-Id", "Names the request in the answer and in the server's log.")];
  if (method === "POST" && !path.startsWith("/auth")) {
    found.push(header("Idempotency-Key", "The same key and body again give the first answer again, for 24 hours."));
  }
  if (method === "PUT" || method === "DELETE") {
    found.push(header("If-Match", "The ETag of the object as it was seen; 412 when it has changed since."));
  }
  if (media?.includes("text/event-stream") === true) {
    found.push(header("Accept", "`text/event-stream` for a stream."));
    if (method === "GET") found.push(header("Last-Event-ID", "A stream goes on after this event."));
  }
  if (query === undefined && path === "/sessions" && method === "POST") {
    found.push(header("Prefer", "`wait=N`: answer when the session is ready, or after N seconds."));
  }
  return found;
}

function requestBody({ body, bytes }: Route, components: SchemaComponents): Pick<Operation, "requestBody"> {
  if (bytes) return { requestBody: { required: false, content: { "*/*": { schema: {} } } } };
  if (body === undefined) return {};
  const schema = components.of(body, "input");
  const required = !body.safeParse({}).success;
  return { requestBody: { required, content: { [JSON_TYPE]: { schema } } } };
}

function successes(route: Route, components: SchemaComponents): Record<string, Response> {
  const { answer, media = [], otherStatuses = [], query, status } = route;
  const isList = answer instanceof z.ZodArray;
  const isPaged = isList && query instanceof z.ZodObject && "cursor" in query.shape;
  const content: Content = {
    ...(answer === undefined ? {} : { [JSON_TYPE]: { schema: components.of(answer, "output") } }),
    ...Object.fromEntries(media.map((type) => [type, { schema: TEXT }])),
  };
  const head = {
    "X-Request-Id": { schema: TEXT, description: "Also in the server's log." },
    ...(answer !== undefined && !isList ? { ETag: { schema: TEXT, description: "For If-Match." } } : {}),
    ...(isPaged ? { Link: { schema: TEXT, description: 'The next page: `<…>; rel="next"`.' } } : {}),
  };
  const response: Response = {
    description: DONE[status] ?? "Done",
    headers: head,
    ...(Object.keys(content).length === 0 ? {} : { content }),
  };
  return Object.fromEntries([status, ...otherStatuses].map((each) => [String(each), response]));
}

/** Statuses that are worth expecting; every other problem has the same shape. */
function problems({ access, body, method, otherStatuses = [], path }: Route): Operation["responses"] {
  const statuses = [
    ...(access === "public" && method === "GET" ? [] : [401, 429]),
    ...(typeof access === "string" ? [] : [403]),
    ...(path.includes(":") ? [404] : []),
    ...(method === "GET" ? [] : [409]),
    ...(method === "PUT" || method === "DELETE" ? [412] : []),
    ...(body === undefined ? [] : [413, 415]),
    422,
    ...(otherStatuses.includes(503) ? [] : [503]),
  ].toSorted((one, other) => one - other);
  const problem = { $ref: `#/components/responses/${PROBLEM_RESPONSE}` };
  return Object.fromEntries([...statuses.map(String), "default"].map((status) => [status, problem]));
}
