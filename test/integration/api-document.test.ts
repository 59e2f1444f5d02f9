import { API_BASE, ERRORS, ROUTES } from "@raworc/contract";
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ApiDocument } from "../../packages/server/src/http/openapi/document.ts";
import { type ControlPlane, openControlPlane } from "../support/control-plane.ts";

let plane: ControlPlane;
let document: ApiDocument;
beforeAll(async () => {
  plane = await openControlPlane();
  document = (await plane.call("GET", "/openapi.json")).json<ApiDocument>();
});
afterAll(() => plane.close());

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );

test("it lists exactly what is registered", () => {
  const written = operations().map(({ method, path }) => `${method.toUpperCase()} ${API_BASE}${path}`);
  const registered = plane.app.api.routes
    .filter(({ guard, method }) => "route" in guard && method !== "HEAD")
    .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, "{$1}").replace("*", "{path}")}`);
  expect(written.toSorted()).toEqual(registered.toSorted());
  expect(new Set(operations().map(({ operation }) => operation.operationId)).size).toBe(written.length);
});

test("pages that are no part of it need no token and are few", () => {
  const pages = plane.app.api.routes.filter(({ guard, method }) => "page" in guard && method !== "HEAD");
  expect(pages.map(({ path }) => path).toSorted()).toEqual([
    `${API_BASE}/openapi.json`,
    "/docs",
    "/docs/page.css",
    "/docs/page.js",
    "/metrics",
  ]);
});

test("it is whole: all schemas compile, and everything that is referred to is there", () => {
  const ajv = new Ajv2020({ strict: false, validateFormats: false }).addSchema(document, "document");
  for (const name of Object.keys(document.components.schemas)) {
    expect(() => ajv.compile({ $ref: `document#/components/schemas/${name}` }), name).not.toThrow();
  }
  const references = JSON.stringify(document).match(/"\$ref":"[^"]+"/g) ?? [];
  for (const reference of new Set(references)) {
    const [, ...keys] = (JSON.parse(`{${reference}}`) as { $ref: string }).$ref.split("/");
    const found = keys.reduce<unknown>((value, key) => (value as Record<string, unknown>)?.[key], document);
    expect(found, reference).toBeDefined();
  }
});

test("each path parameter is described, and nothing that the path lacks", () => {
  for (const { operation, path } of operations()) {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const described = operation.parameters.filter((parameter) => parameter.in === "path").map(({ name }) => name);
    expect(described, path).toEqual(inPath);
  }
});

test("its schemas say what the server checks", async () => {
  const token = await plane.login("admin", "admin");
  const ajv = new Ajv2020({ strict: false, validateFormats: false }).addSchema(document, "document");
  const validate = ajv.compile({ $ref: "document#/components/schemas/CreateSpace" });
  for (const body of [
    { name: "good" },
    { name: "Bad" },
    {},
    { name: "x", more: 1 },
    { name: "y", settings: { limits: { cpus: 0 } } },
    { name: "z", settings: { limits: { cpus: 2 }, own: [1] } },
  ]) {
    const { statusCode } = await plane.call("POST", "/spaces", { token, body });
    expect([body, statusCode === 201]).toEqual([body, validate(body)]);
  }
});

test("the page shows each call and error, by itself", async () => {
  const page = await plane.app.inject("/docs");
  expect(page.headers["content-type"]).toBe("text/html; charset=utf-8");
  expect(page.headers["content-security-policy"]).toMatch(/^default-src 'none'; style-src 'self'; script-src 'self';/);
  for (const name of Object.keys(ROUTES)) expect(page.body).toContain(`id="${name}"`);
  for (const code of Object.keys(ERRORS)) expect(page.body).toContain(`<code>${code}</code>`);
  const loaded = [...page.body.matchAll(/(?:src|rel="stylesheet" href)="([^"]+)"/g)].map(([, url]) => url ?? "");
  expect(loaded).toEqual(["/docs/page.css", "/docs/page.js"]);
  for (const url of loaded) expect((await plane.app.inject(url)).statusCode).toBe(200);
  const targets = new Set([...page.body.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id));
  for (const [, target] of page.body.matchAll(/href="#([^"]+)"/g)) expect(targets).toContain(target);
  const again = await plane.app.inject({ url: "/docs", headers: { "if-none-match": String(page.headers.etag) } });
  expect(again.statusCode).toBe(304);
});
