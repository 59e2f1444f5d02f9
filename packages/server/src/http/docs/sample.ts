import type { JsonSchema } from "../openapi/schema-components.ts";
import { referenceOf } from "./schema-view.ts";

/** Values that say more than their types do. */
const NAMED: Readonly<Record<string, unknown>> = {
  user: "admin",
  pass: "…",
  new_password: "…",
  name: "example",
  content: "@researcher What is new?",
  command: "ls -l",
  source_repo: "owner/repository",
  key_name: "API_KEY",
  value: "…",
  role_name: "developer",
  principal: "somebody",
  rules: [{ api_groups: ["api"], resources: ["sessions"], verbs: ["list", "get"] }],
};

/** The least that may be sent: required fields alone. */
export function sampleOf(schema: JsonSchema, schemas: Readonly<Record<string, JsonSchema>>): unknown {
  const name = referenceOf(schema);
  if (name !== undefined) return sampleOf(schemas[name] ?? {}, schemas);
  const choices = (schema["anyOf"] ?? schema["enum"]) as readonly unknown[] | undefined;
  if (schema["enum"] !== undefined) return choices?.[0];
  if (choices !== undefined) return sampleOf((choices[0] ?? {}) as JsonSchema, schemas);
  switch (schema["type"]) {
    case "object": {
      const required = (schema["required"] ?? []) as readonly string[];
      const fields = (schema["properties"] ?? {}) as Record<string, JsonSchema>;
      return Object.fromEntries(
        required.map((field) => [field, NAMED[field] ?? sampleOf(fields[field] ?? {}, schemas)]),
      );
    }
    case "array":
      return [sampleOf((schema["items"] ?? {}) as JsonSchema, schemas)];
    case "integer":
    case "number":
      return schema["minimum"] ?? 0;
    case "boolean":
      return true;
    default:
      return "…";
  }
}
