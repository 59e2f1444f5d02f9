import type { Client } from "@raworc/client";
import { DEFAULT_SPACE, type RouteName } from "@raworc/contract";
import { CommandFailure, UsageFailure } from "./failure.ts";
import { findKind, RESOURCE_KINDS, type ResourceKind, type Row } from "./resource-kinds.ts";
import { fieldsOf, parametersOf } from "./route-fields.ts";

/** Where a resource lies, as the options say. */
export interface Place {
  readonly space?: string | undefined;
  /** Values of the options that `parents` names. */
  readonly parents?: Readonly<Record<string, string | undefined>>;
}

/** The kind that a word names. Throws UsageFailure with all kinds there are. */
export function requireKind(word: string): ResourceKind {
  const kind = findKind(word);
  if (kind !== undefined) return kind;
  throw new UsageFailure(`There is no resource ${JSON.stringify(word)}.`, [kindsHint()]);
}

export function kindsHint(): string {
  return `resources: ${RESOURCE_KINDS.map(({ name }) => name).join(", ")}`;
}

/** Reads `agent poet`, `agent/poet`, or several names of one kind. */
export function readNames(
  word: string | undefined,
  names: readonly string[],
): { kind: ResourceKind; names: readonly string[] } {
  if (word === undefined) throw new UsageFailure("Say which resource.", [kindsHint()]);
  const [kindName = "", ...rest] = word.split("/");
  const kind = requireKind(kindName);
  if (rest.length === 0) return { kind, names };
  return { kind, names: [rest.join("/"), ...names.map((name) => name.replace(/^[^/]*\//, ""))] };
}

/** The route of a verb. Throws UsageFailure where the API has none. */
export function routeFor(kind: ResourceKind, verb: keyof ResourceKind["routes"]): RouteName {
  const route = kind.routes[verb];
  if (route === undefined) throw new UsageFailure(`The verb ${verb} is not there for ${kind.name}.`);
  return route;
}

/** Values for the parameters of a route's path. */
export function paramsFor(kind: ResourceKind, route: RouteName, place: Place, name?: string): Record<string, string> {
  const params: Record<string, string> = {};
  for (const parameter of parametersOf(route)) {
    const parent = kind.parents?.[parameter];
    if (parent !== undefined) {
      const value = place.parents?.[parent];
      if (value === undefined)
        throw new UsageFailure(`${kind.name} lie in a ${parent}; say in which.`, [`--${parent} <id>`]);
      params[parameter] = value;
    } else if (parameter === "space" && kind.singular !== "space") params[parameter] = place.space ?? DEFAULT_SPACE;
    else if (name !== undefined && name !== "") params[parameter] = name;
    else throw new UsageFailure(`Say which ${kind.singular}.`);
  }
  return params;
}

export interface ListOptions {
  readonly limit?: number | undefined;
  readonly all?: boolean;
  readonly filters?: Readonly<Record<string, string>>;
}

/** Filters as a query. Throws UsageFailure, naming those there are, for one that the route does not have. */
function filterQuery(
  kind: ResourceKind,
  route: RouteName,
  filters: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const known = fieldsOf(route, "query").map(({ name }) => name);
  const unknown = Object.keys(filters).find((name) => !known.includes(name));
  if (unknown === undefined) return { ...filters };
  const usable = known.filter((name) => !["cursor", "limit", "space"].includes(name)).join(", ");
  throw new UsageFailure(`${kind.name} can't be filtered by ${unknown}.`, [`filters: ${usable || "none"}`]);
}

export interface Listed {
  readonly rows: readonly Row[];
  readonly hasMore: boolean;
}

export async function listRows(
  client: Client,
  kind: ResourceKind,
  place: Place,
  options: ListOptions,
): Promise<Listed> {
  const route = routeFor(kind, "list");
  const query: Record<string, string | number | undefined> = filterQuery(kind, route, options.filters);
  if (fieldsOf(route, "query").some(({ name }) => name === "space")) query["space"] = place.space;
  query["limit"] = options.limit ?? (options.all === true ? 1000 : undefined);
  const rows: Row[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.page(route, { params: paramsFor(kind, route, place), query: { ...query, cursor } });
    rows.push(...(page.items as Row[]));
    cursor = page.cursor;
  } while (cursor !== undefined && options.all === true);
  return { rows, hasMore: cursor !== undefined };
}

/** One object by its name. Kinds without a call of their own for that are looked up in their list. */
export async function getRow(
  client: Client,
  kind: ResourceKind,
  place: Place,
  name: string,
  filters: Readonly<Record<string, string>> = {},
): Promise<Row> {
  const route = kind.routes.get;
  if (route !== undefined) {
    const query = filterQuery(kind, route, filters);
    return (await client.request(route, { params: paramsFor(kind, route, place, name), query })) as Row;
  }
  const { rows } = await listRows(client, kind, place, { all: true });
  const found = rows.find((row) => String(row[kind.key]) === name);
  if (found === undefined) throw new CommandFailure(`There is no ${kind.singular} ${name}.`);
  return found;
}

/** `agent/poet`, as scripts take it on. */
export function referenceOf(kind: ResourceKind, row: Row): string {
  return `${kind.singular}/${String(row[kind.key] ?? "")}`;
}
