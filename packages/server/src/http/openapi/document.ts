import { API_BASE, ERRORS, Problem, ROUTES, type Route, type RouteName } from "@raworc/contract";
import type { z } from "zod";
import { VERSION } from "../../version.ts";
import { methodsOf, pathsOf } from "../route-variants.ts";
import { type Operation, operationOf, PROBLEM_RESPONSE, tagOf } from "./operation.ts";
import { convertSchemas, type JsonSchema } from "./schema-components.ts";

/** The parts of an OpenAPI 3.1 document that ours has. */
export interface ApiDocument {
  readonly openapi: "3.1.0";
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly servers: readonly { readonly url: string }[];
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, JsonSchema>>;
    readonly responses: Readonly<Record<string, unknown>>;
    readonly securitySchemes: Readonly<Record<string, unknown>>;
  };
}

const DESCRIPTION = [
  "Sessions are isolated computers in which AI agents run; spaces own agents, secrets, builds and sessions.",
  "Every call but the public ones needs `Authorization: Bearer <token>`; `POST /auth/login` gives one.",
  "Errors are RFC 9457 problems with a stable `code`; `detail` says what to do.",
  'Lists are arrays, newest first; the `Link` header with `rel="next"` leads to the next page.',
].join(" ");

/** What people look for, in the order in which they need it; the rest follows. */
const FIRST_TAGS = ["auth", "spaces", "agents", "builds", "secrets", "sessions", "messages", "events"];
const LAST_TAGS = ["tokens", "service-accounts", "roles", "role-bindings", "audit-events", "system"];

function rankOf(tag: string): number {
  const last = LAST_TAGS.indexOf(tag);
  if (last !== -1) return FIRST_TAGS.length + 1 + last;
  const first = FIRST_TAGS.indexOf(tag);
  return first === -1 ? FIRST_TAGS.length : first;
}

/** Path of a route as OpenAPI writes it. */
export function documentPath(path: string): string {
  return path.replaceAll(/:([a-z_]+)/g, "{$1}").replace(/\*$/, "{path}");
}

/** Describes every route of the contract, by the schemas that check what comes and goes. */
export function describeApi(): ApiDocument {
  const components = convertSchemas();
  const paths: Record<string, Record<string, Operation>> = {};
  for (const [name, definition] of Object.entries<Route>(ROUTES)) {
    for (const path of pathsOf(definition)) {
      const operations = methodsOf(definition).map((method) => [
        method.toLowerCase(),
        operationOf(name as RouteName, definition, { method, path }, components),
      ]);
      paths[documentPath(path)] = { ...paths[documentPath(path)], ...Object.fromEntries(operations) };
    }
  }
  const problem = components.of(Problem as z.ZodType, "output");
  const tags = new Set([...FIRST_TAGS, ...Object.keys(ROUTES).map((name) => tagOf(name as RouteName))]);
  return {
    openapi: "3.1.0",
    info: { title: "Raworc", version: VERSION, description: DESCRIPTION },
    servers: [{ url: API_BASE }],
    security: [{ token: [] }],
    tags: [...tags].toSorted((one, other) => rankOf(one) - rankOf(other)).map((name) => ({ name })),
    paths,
    components: {
      schemas: components.all(),
      responses: {
        [PROBLEM_RESPONSE]: {
          description: `A problem; \`code\` is one of ${Object.keys(ERRORS).length} that docs/errors.md explains.`,
          headers: { "X-Request-Id": { schema: { type: "string" } } },
          content: { "application/problem+json": { schema: problem } },
        },
      },
      securitySchemes: { token: { type: "http", scheme: "bearer", description: "Of a login, or an API token." } },
    },
  };
}
