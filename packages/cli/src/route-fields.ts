import { ROUTES, type Route, type RouteName } from "@raworc/contract";
import { z } from "zod";

/** A field of a route's body or query, as far as an option needs to know it. */
export interface RouteField {
  readonly name: string;
  readonly kind: "text" | "number" | "switch" | "json";
  /** The only values it may have. */
  readonly choices?: readonly string[] | undefined;
  readonly nullable: boolean;
  readonly required: boolean;
  readonly description?: string | undefined;
}

interface JsonSchema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly description?: string;
}

/** The fields that the contract names for a part of a route's request. */
export function fieldsOf(name: RouteName, part: "body" | "query"): RouteField[] {
  const route: Route = ROUTES[name];
  const schema = route[part];
  if (schema === undefined) return [];
  const json = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as JsonSchema;
  const required = new Set(json.required ?? []);
  return Object.entries(json.properties ?? {}).map(([field, value]) =>
    describeField(field, value, required.has(field)),
  );
}

/** Names of the parameters in a route's path, in their order. */
export function parametersOf(name: RouteName): string[] {
  return [...ROUTES[name].path.matchAll(/:([a-z_]+)/g)].map(([, parameter = ""]) => parameter);
}

function describeField(name: string, schema: JsonSchema, required: boolean): RouteField {
  const parts = schema.anyOf ?? [schema];
  const [main = schema, ...others] = parts.filter((part) => part.type !== "null");
  const nullable = parts.some((part) => part.type === "null");
  const field = { name, nullable, required, description: schema.description };
  if (others.length > 0) return { ...field, kind: "json" };
  const choices = main.enum?.filter((value) => typeof value === "string");
  if (choices !== undefined && choices.length > 0) {
    const isSwitch = choices.length === 2 && choices.includes("true") && choices.includes("false");
    return isSwitch ? { ...field, kind: "switch" } : { ...field, kind: "text", choices };
  }
  if (main.type === "string") return { ...field, kind: "text" };
  if (main.type === "number" || main.type === "integer") return { ...field, kind: "number" };
  return { ...field, kind: main.type === "boolean" ? "switch" : "json" };
}
