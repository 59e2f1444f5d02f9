import * as contract from "@raworc/contract";
import { ROUTES, type Route } from "@raworc/contract";
import { z } from "zod";

export type JsonSchema = Readonly<Record<string, unknown>>;

/** What a schema describes: what is sent to the server, before defaults, or what comes from it. */
export type Direction = "input" | "output";

const REFERENCE = "#/components/schemas/";
const PARTS = { params: "input", query: "input", body: "input", answer: "output" } as const;

/** The contract's schemas as JSON Schema, each named one once. */
export interface SchemaComponents {
  /** The schema, or a reference where it has a name. */
  of(schema: z.ZodType, direction: Direction): JsonSchema;
  /** The schema of what is sent, itself and not a reference. */
  inlined(schema: z.ZodType): JsonSchema;
  /** All named schemas that something refers to. */
  all(): Readonly<Record<string, JsonSchema>>;
}

type Schemas = Readonly<Record<string, JsonSchema>>;

/** Converts what the routes and problems are made of. */
export function convertSchemas(): SchemaComponents {
  const registry = z.registry<{ id: string }>();
  for (const [name, value] of Object.entries(contract)) {
    if (value instanceof z.ZodType && !registry.has(value)) registry.add(value, { id: name });
  }
  const roots: Record<Direction, string[]> = { input: [], output: ["Problem"] };
  /** Become parameters, one by one. */
  const inlined = new Set<string>();
  // Parts of routes that have no name of their own are converted with the others, so that they refer to them.
  for (const [name, route] of Object.entries<Route>(ROUTES)) {
    for (const [part, direction] of Object.entries(PARTS)) {
      const schema = route[part as keyof typeof PARTS];
      if (schema === undefined) continue;
      if (!registry.has(schema)) registry.add(schema, { id: `${name}/${part}` });
      const id = idOf(registry, schema);
      roots[direction].push(id);
      if (part === "params" || part === "query") inlined.add(id);
    }
  }
  const converted = { input: convert(registry, "input"), output: convert(registry, "output") };
  const used = { input: reach(converted.input, roots.input), output: reach(converted.output, roots.output) };

  /** What means something else when it is sent has a name of its own for that. */
  const nameOf = (id: string, direction: Direction): string => {
    const isOther = JSON.stringify(converted.input[id]) !== JSON.stringify(converted.output[id]);
    return direction === "input" && used.output.has(id) && isOther ? `${id}Input` : id;
  };
  const renamed = (schema: JsonSchema, direction: Direction): JsonSchema =>
    mapReferences(schema, (id) => nameOf(id, direction));
  const directions = ["input", "output"] as const;
  return {
    inlined: (schema) => renamed(converted.input[idOf(registry, schema)] ?? {}, "input"),
    of: (schema, direction) => {
      const id = idOf(registry, schema);
      const isNamed = !id.includes("/");
      return isNamed
        ? { $ref: `${REFERENCE}${nameOf(id, direction)}` }
        : renamed(converted[direction][id] ?? {}, direction);
    },
    all: () => {
      const found = new Map<string, JsonSchema>();
      for (const direction of directions) {
        for (const id of used[direction]) {
          const name = nameOf(id, direction);
          if (!id.includes("/") && !inlined.has(id))
            found.set(name, renamed(converted[direction][id] ?? {}, direction));
        }
      }
      return Object.fromEntries([...found].toSorted(([one], [other]) => (one < other ? -1 : 1)));
    },
  };
}

function idOf(registry: z.core.$ZodRegistry<{ id: string }>, schema: z.ZodType): string {
  const id = registry.get(schema)?.id;
  if (id === undefined) throw new Error("A schema that is neither the contract's nor of a route");
  return id;
}

function convert(registry: z.core.$ZodRegistry<{ id: string }>, io: Direction): Schemas {
  const { schemas } = z.toJSONSchema(registry, { io, unrepresentable: "any", uri: (id) => `${REFERENCE}${id}` });
  return Object.fromEntries(
    Object.entries(schemas).map(([id, { $schema: _, $id: __, ...schema }]) => [id, schema as JsonSchema]),
  );
}

/** Ids that some ids refer to, with themselves. */
function reach(schemas: Schemas, ids: readonly string[]): ReadonlySet<string> {
  const found = new Set<string>();
  const visit = (id: string): string => {
    if (!found.has(id)) {
      found.add(id);
      mapReferences(schemas[id] ?? {}, visit);
    }
    return id;
  };
  ids.forEach(visit);
  return found;
}

function mapReferences(schema: JsonSchema, rename: (id: string) => string): JsonSchema {
  const walk = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(walk);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, part]) => {
        const isReference = key === "$ref" && typeof part === "string" && part.startsWith(REFERENCE);
        return [key, isReference ? `${REFERENCE}${rename(part.slice(REFERENCE.length))}` : walk(part)];
      }),
    );
  };
  return walk(schema) as JsonSchema;
}
