import { API_BASE, ERRORS } from "@raworc/contract";
import type { ApiDocument } from "../openapi/document.ts";
import { type Html, html, prose } from "./html.ts";
import { callAnchor, callView, type DocumentedCall, pathView } from "./operation-view.ts";
import { fieldsView, schemaAnchor } from "./schema-view.ts";

export const STYLE_PATH = "/docs/page.css";
export const SCRIPT_PATH = "/docs/page.js";

/** The document as a page for people: all of it in one, without anything from elsewhere. */
export function renderDocs(document: ApiDocument): string {
  const calls = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations)
      // A PATCH is taken as the PUT beside it, and the root is a path like others.
      .filter(([, { operationId }]) => !/\.(patch|root)$/.test(operationId))
      .map(([method, operation]): DocumentedCall => ({ method, path, operation })),
  );
  const groups = document.tags.map(({ name }) => ({
    name,
    calls: calls.filter(({ operation }) => operation.tags.includes(name)),
  }));
  const { schemas } = document.components;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${document.info.title} API ${document.info.version}</title>
<link rel="stylesheet" href="${STYLE_PATH}">
<script src="${SCRIPT_PATH}" defer></script>
</head>
<body>
<a class="skip" href="#main">To the content</a>
<nav aria-label="Calls">
<p class="brand"><a href="#top">${document.info.title}</a> <span>${document.info.version}</span></p>
<p class="filter"><input id="filter" type="search" placeholder="Filter calls" aria-label="Filter calls" autocomplete="off"></p>
<ul class="chapters"><li><a href="#start">Start</a></li><li><a href="#errors">Errors</a></li><li><a href="#schemas">Objects</a></li></ul>
${groups.map(groupLinks)}
</nav>
<main id="main">
<header id="top"><h1>${document.info.title} API</h1><p class="lead">${prose(document.info.description)}</p>
<p><a class="button" href="${API_BASE}/openapi.json">openapi.json</a></p></header>
${startView()}
${groups.map(({ calls: all, name }) => html`<section class="group" id="group-${name}"><h2>${titleOf(name)}</h2>${all.map((call) => callView(call, schemas))}</section>`)}
${errorsView()}
<section id="schemas"><h2>Objects</h2>${Object.entries(schemas).map(
    ([name, schema]) =>
      html`<article class="object" id="${schemaAnchor(name)}"><h3><a class="anchor" href="#${schemaAnchor(name)}">${name}</a></h3>${fieldsView(schema)}</article>`,
  )}</section>
</main>
</body>
</html>
`.text;
}

function titleOf(group: string): string {
  return (group.charAt(0).toUpperCase() + group.slice(1)).replaceAll("-", " ");
}

function groupLinks({ calls, name }: { name: string; calls: readonly DocumentedCall[] }): Html {
  const links = calls.map(
    (call) =>
      html`<li><a href="#${callAnchor(call)}" title="${call.operation.summary}"><span class="method ${call.method}">${call.method.toUpperCase()}</span><span class="path">${pathView(call.path)}</span></a></li>`,
  );
  return html`<h2>${titleOf(name)}</h2><ul>${links}</ul>`;
}

const START: readonly (readonly [string, string])[] = [
  [
    "Tokens",
    "Log in with `POST /auth/login` and send `Authorization: Bearer <token>`. Make API tokens for programs with `POST /auth/tokens`.",
  ],
  [
    "Lists",
    "Arrays, newest first (events and messages: oldest first). `limit` is 1 to 1000; the next page's address is in the `Link` header.",
  ],
  [
    "Repeating",
    "A POST with an `Idempotency-Key` gives its first answer again for 24 hours, whatever happened to the connection or the server.",
  ],
  [
    "Changing",
    "PUT replaces the fields that it names. With `If-Match` and the `ETag` that you saw, nobody's change is overwritten: 412.",
  ],
  [
    "Streams",
    "With `Accept: text/event-stream` events arrive as they happen. `Last-Event-ID` goes on where a stream broke off.",
  ],
  ["Limits", "429 tells in `Retry-After` how long to wait. Bodies are JSON up to 8 MiB; files are streamed."],
];

function startView(): Html {
  const cards = START.map(([title, text]) => html`<div class="card"><h3>${title}</h3><p>${prose(text)}</p></div>`);
  return html`<section id="start"><h2>Start</h2><div class="cards">${cards}</div></section>`;
}

function errorsView(): Html {
  const rows = Object.entries(ERRORS).map(
    ([code, { status, title }]) =>
      html`<tr><th scope="row"><code>${status}</code></th><td><code>${code}</code></td><td>${title}</td></tr>`,
  );
  return html`<section id="errors"><h2>Errors</h2><p>Every answer from 400 on is <code>application/problem+json</code>, a <a href="#${schemaAnchor("Problem")}">Problem</a>. Depend on <code>code</code>; read <code>detail</code>, which says what to do.</p><table class="errors"><tbody>${rows}</tbody></table></section>`;
}
