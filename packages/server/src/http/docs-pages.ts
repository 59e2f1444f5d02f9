import { hash } from "node:crypto";
import { API_BASE } from "@raworc/contract";
import type { FastifyInstance } from "fastify";
import { renderDocs, SCRIPT_PATH, STYLE_PATH } from "./docs/page.ts";
import { DOCS_SCRIPT } from "./docs/script.ts";
import { DOCS_STYLE } from "./docs/style.ts";
import { describeApi } from "./openapi/document.ts";
import { page } from "./server.ts";

/** Nothing but the page's own style and script, and nobody shows it in a frame. */
const POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  "script-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

interface Text {
  readonly type: string;
  readonly text: string;
  readonly etag: string;
}

function textOf(type: string, text: string): Text {
  return { type: `${type}; charset=utf-8`, text, etag: `"${hash("sha256", text, "base64url").slice(0, 27)}"` };
}

/** Serves the API's document and its page. Both are made when somebody asks first. */
export function docsPages(app: FastifyInstance): void {
  const serve = (path: string, make: () => Text): void => {
    let made: Text | undefined;
    page(app, path, (request, reply) => {
      made ??= make();
      reply.headers({ "cache-control": "no-cache", etag: made.etag, "content-security-policy": POLICY });
      if (request.headers["if-none-match"] === made.etag) return reply.code(304).send();
      return reply.type(made.type).send(made.text);
    });
  };
  serve(`${API_BASE}/openapi.json`, () => textOf("application/json", JSON.stringify(describeApi())));
  serve("/docs", () => textOf("text/html", renderDocs(describeApi())));
  serve(STYLE_PATH, () => textOf("text/css", DOCS_STYLE));
  serve(SCRIPT_PATH, () => textOf("text/javascript", DOCS_SCRIPT));
}
