import { API_BASE } from "@raworc/contract";
import type { Operation, Parameter, Response } from "../openapi/operation.ts";
import type { JsonSchema } from "../openapi/schema-components.ts";
import { type Html, html, prose } from "./html.ts";
import { sampleOf } from "./sample.ts";
import { fieldsView, referenceOf, rulesView, typeView } from "./schema-view.ts";

export interface DocumentedCall {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}

type Schemas = Readonly<Record<string, JsonSchema>>;

export function callAnchor({ operation }: DocumentedCall): string {
  return operation.operationId;
}

/** A path with its parameters set off. */
export function pathView(path: string): Html {
  return html`${path.split(/(\{[^}]+\})/).map((part) => (part.startsWith("{") ? html`<i>${part}</i>` : part))}`;
}

/** Everything about one call. */
export function callView(call: DocumentedCall, schemas: Schemas): Html {
  const { method, operation, path } = call;
  const inPlace = (place: Parameter["in"]) => operation.parameters.filter((parameter) => parameter.in === place);
  const body = operation.requestBody?.content["application/json"]?.schema;
  const asked = [
    parametersView("In the path", inPlace("path")),
    parametersView("Query", inPlace("query")),
    body && bodyView(body, schemas),
    parametersView(
      "Headers",
      inPlace("header").filter(({ name }) => name !== "X-Request-Id"),
    ),
  ].filter((part) => part !== undefined);
  const example = html`<pre class="example"><code>${exampleOf(call, schemas)}</code></pre>`;
  const [left, right] = asked.length === 0 ? [example, ""] : [html`${asked}`, example];
  return html`<article class="call" id="${callAnchor(call)}">
<h3><a class="anchor" href="#${callAnchor(call)}"><span class="method ${method}">${method.toUpperCase()}</span><span class="path">${pathView(path)}</span></a></h3>
<p class="summary">${operation.summary}. <span class="right">${prose(operation.description)}</span></p>
<div class="columns"><div>${left}</div><div>${right}${answersView(operation)}</div></div>
</article>`;
}

function bodyView(body: JsonSchema, schemas: Schemas): Html {
  const name = referenceOf(body) === undefined ? "" : typeView(body);
  return html`<h4>Body ${name}</h4>${fieldsView(resolve(body, schemas))}`;
}

function resolve(schema: JsonSchema, schemas: Schemas): JsonSchema {
  const name = referenceOf(schema);
  return name === undefined ? schema : (schemas[name] ?? {});
}

function parametersView(title: string, parameters: readonly Parameter[]): Html | undefined {
  if (parameters.length === 0) return undefined;
  const rows = parameters.map(
    ({ description, name, required, schema }) =>
      html`<tr><th scope="row"><code>${name}</code>${
        required ? html`<span class="required" title="required">*</span>` : ""
      }</th>${
        description === undefined
          ? html`<td class="type">${typeView(schema)}</td><td>${rulesView(schema)}</td>`
          : html`<td colspan="2">${prose(description)}</td>`
      }</tr>`,
  );
  return html`<h4>${title}</h4><table><tbody>${rows}</tbody></table>`;
}

function answersView({ responses }: Operation): Html {
  const rows = Object.entries(responses).flatMap(([status, response]) =>
    "$ref" in response ? [] : [successView(status, response)],
  );
  const problems = Object.entries(responses).flatMap(([status, response]) =>
    "$ref" in response && status !== "default" ? [html`<code>${status}</code> `] : [],
  );
  return html`<table class="answers"><tbody>${rows}<tr><th scope="row">${problems}</th><td><a href="#errors">Problem</a></td></tr></tbody></table>`;
}

function successView(status: string, { content = {}, description }: Response): Html {
  const kinds = Object.entries(content).map(([type, { schema }], index) => [
    index > 0 ? html`<br>` : "",
    type === "application/json" ? typeView(schema) : html`<code>${type}</code>`,
  ]);
  return html`<tr><th scope="row"><code class="good">${status}</code></th><td>${kinds.length === 0 ? description : kinds}</td></tr>`;
}

/** The call as it is typed into a shell. */
function exampleOf({ method, operation, path }: DocumentedCall, schemas: Schemas): string {
  const isPublic = operation.security?.length === 0;
  const filled = path.replaceAll(/\{([^}]+)\}/g, (_, name: string) => `$${name.toUpperCase()}`);
  const isStream = operation.responses["200"] !== undefined && path.endsWith("/events");
  const lines = [
    ...(method === "get" ? ["curl"] : [`curl -X ${method.toUpperCase()}`]),
    `"http://localhost:9000${API_BASE}${filled}"`,
    ...(isPublic ? [] : ['-H "Authorization: Bearer $TOKEN"']),
    ...(isStream ? ['-N -H "Accept: text/event-stream"'] : []),
  ];
  const body = operation.requestBody?.content["application/json"]?.schema;
  if (body !== undefined) {
    lines.push('-H "Content-Type: application/json"', `-d '${JSON.stringify(sampleOf(body, schemas))}'`);
  }
  return lines.join(" \\\n  ");
}
