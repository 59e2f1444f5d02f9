import type { JsonSchema } from "../openapi/schema-components.ts";
import { type Html, html } from "./html.ts";

const REFERENCE = "#/components/schemas/";

const parts = (schema: JsonSchema, key: string) => schema[key] as readonly JsonSchema[] | undefined;

export function schemaAnchor(name: string): string {
  return `schema-${name}`;
}

/** Name of the schema that is referred to. */
export function referenceOf(schema: JsonSchema): string | undefined {
  const reference = schema["$ref"];
  return typeof reference === "string" ? reference.slice(REFERENCE.length) : undefined;
}

/** What a value is, in words: `string`, `array of Session`, `integer or null`. */
export function typeView(schema: JsonSchema): Html {
  const name = referenceOf(schema);
  if (name !== undefined) return html`<a href="#${schemaAnchor(name)}">${name}</a>`;
  const choices = parts(schema, "anyOf") ?? parts(schema, "oneOf");
  if (choices !== undefined)
    return html`${choices.map((choice, index) => [index > 0 ? " or " : "", typeView(choice)])}`;
  if (schema["type"] === "array") return html`array of ${typeView((schema["items"] ?? {}) as JsonSchema)}`;
  const { type } = schema as { type?: string | readonly string[] };
  if (type === undefined) return html`any`;
  return html`${[type].flat().join(" or ")}`;
}

/** What else holds for a value: its choices, bounds, form and default. */
export function rulesView(schema: JsonSchema): Html {
  const choices = schema["enum"] as readonly unknown[] | undefined;
  const rules: (Html | string)[] = [];
  if (choices !== undefined) rules.push(html`${choices.map((choice) => html`<code>${String(choice)}</code> `)}`);
  if (schema["const"] !== undefined) rules.push(html`<code>${JSON.stringify(schema["const"])}</code>`);
  const [least, most] = [schema["minimum"] ?? schema["minLength"], schema["maximum"] ?? schema["maxLength"]];
  const unit = schema["type"] === "string" ? " characters" : "";
  const isBound = typeof most === "number" && most < Number.MAX_SAFE_INTEGER;
  if (isBound) rules.push(least === undefined ? `up to ${most}${unit}` : `${least} to ${most}${unit}`);
  else if (typeof least === "number" && least > 0) rules.push(`at least ${least}${unit}`);
  if (typeof schema["format"] === "string") rules.push(schema["format"]);
  else if (typeof schema["pattern"] === "string") rules.push(html`<code>${schema["pattern"]}</code>`);
  if (schema["default"] !== undefined) rules.push(html`default <code>${JSON.stringify(schema["default"])}</code>`);
  return html`${rules.map((rule, index) => [index > 0 ? " · " : "", rule])}`;
}

/** A table of an object's fields; fields of objects without a name of their own are indented below them. */
export function fieldsView(schema: JsonSchema): Html {
  const rows = rowsOf(schema, 0);
  if (rows.length === 0) return html`<p class="note">${typeView(schema)} ${rulesView(schema)}</p>`;
  return html`<table><tbody>${rows}</tbody></table>`;
}

function rowsOf(schema: JsonSchema, depth: number): Html[] {
  const required = (schema["required"] ?? []) as readonly string[];
  return Object.entries((schema["properties"] ?? {}) as Record<string, JsonSchema>).flatMap(([name, field]) => [
    html`<tr class="depth-${Math.min(depth, 3)}"><th scope="row"><code>${name}</code>${
      required.includes(name) ? html`<span class="required" title="required">*</span>` : ""
    }</th><td class="type">${typeView(field)}</td><td>${rulesView(field)}</td></tr>`,
    ...rowsOf(field["type"] === "array" ? ((field["items"] ?? {}) as JsonSchema) : field, depth + 1),
  ]);
}
