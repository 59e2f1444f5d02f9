import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { API_BASE, ROUTES, type Route } from "@raworc/contract";
import fc from "fast-check";
import type { InjectOptions } from "fastify";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ControlPlane, openControlPlane } from "../support/control-plane.ts";

/** Requests of each property; all of them together are some thousands. */
const RUNS = Number(process.env["RAWORC_FUZZ_RUNS"] ?? 800);
/** Milliseconds after which an answer that isn't there counts as none. */
const ANSWER_MAX = 10_000;
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;

let plane: ControlPlane;
let tokens: string[];
let ids: Record<string, string>;
beforeAll(async () => {
  plane = await openControlPlane();
  const admin = await plane.login("admin", "admin");
  const post = async (path: string, body: object) =>
    (await plane.call("POST", path, { token: admin, body })).json<Record<string, string>>();
  await post("/spaces", { name: "fuzz", settings: { auto_build: false } });
  await post("/spaces/fuzz/agents", { name: "agent", source_repo: "a/b" });
  await post("/spaces/fuzz/secrets", { key_name: "KEY", value: "value" });
  const { id = "" } = await post("/sessions", { space: "fuzz", wait: "ready" });
  ids = { space: "fuzz", name: "agent", key_name: "KEY", id };
  tokens = [admin, await plane.login("operator", "admin")];
});
afterAll(() => plane.close());

/** What an answer must be, whatever the request was. */
async function expectAnswer(request: InjectOptions): Promise<void> {
  const timeout = AbortSignal.timeout(ANSWER_MAX);
  const shown = JSON.stringify(request).slice(0, 2000);
  const answer = await plane.app.inject({ ...request, signal: timeout }).catch((error: unknown) => {
    throw new Error(`No answer to ${shown}`, { cause: error });
  });
  expect(answer.statusCode, `${shown}\n${answer.body}`).toBeLessThan(500);
  expect(answer.headers["x-request-id"]).toMatch(/^[\x21-\x7e]{1,128}$/);
  if (answer.statusCode < 400 || request.method === "HEAD") return;
  expect(answer.headers["content-type"]).toBe("application/problem+json");
  expect(answer.json()).toMatchObject({ status: answer.statusCode, code: expect.any(String) });
  expect(answer.body).not.toMatch(/node_modules|\bat .+:\d+:\d+|sqlite|select .* from/i);
}

const check = <T>(arbitrary: fc.Arbitrary<T>, toRequest: (value: T) => InjectOptions, numRuns = RUNS) =>
  fc.assert(
    fc.asyncProperty(arbitrary, (value) => expectAnswer(toRequest(value))),
    { numRuns, endOnFailure: true },
  );

/** Any text, odd ones often. */
const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme" }),
  fc.constantFrom(
    "",
    "\0",
    "..",
    "../..",
    "%",
    "%00",
    "%2F",
    "null",
    "NaN",
    "-1",
    "1e309",
    "__proto__",
    "'; --",
    "\ud800",
  ),
  fc.integer({ min: 1, max: 5000 }).map((length) => "x".repeat(length)),
);
const odd = fc.oneof(
  text,
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.constantFrom(0, -0, 2 ** 53, -(2 ** 63), 1e308),
);
const json = fc.oneof(
  fc.jsonValue({ maxDepth: 5 }),
  odd,
  fc.array(odd),
  fc.dictionary(text, odd),
  fc.integer({ min: 1, max: 500 }).map((depth) => JSON.parse(`${"[".repeat(depth)}${"]".repeat(depth)}`) as unknown),
);

const routes = Object.entries<Route>(ROUTES)
  // Fuzzed logins cost a slow hash each, and are refused after ten; what runs commands needs a computer.
  .filter(([name]) => name !== "auth.login" && name !== "auth.logout")
  .map(([, { method, path: pattern }]) => ({ method, path: pattern }));
const route = fc.constantFrom(...routes);
const token = fc.nat(1).map((index) => tokens[index] ?? "");

/** Field names that the API knows, so that random bodies go further than the first check. */
const FIELDS = [...new Set(JSON.stringify(ROUTES).match(/"[a-z_]{2,30}"/g) ?? [])].map((name) => name.slice(1, -1));
const body = fc.oneof(
  json,
  fc.dictionary(fc.constantFrom(...FIELDS, "name", "user", "rules", "settings", "content"), json),
);

/** A path of the API with some of its parameters replaced. */
const path = fc
  .tuple(route, fc.array(fc.option(text, { freq: 2 }), { minLength: 3, maxLength: 3 }))
  .map(([{ path: pattern }, texts]) => {
    let index = 0;
    return pattern.replaceAll(/:([a-z_]+)|\*/g, (_, name?: string) => {
      index += 1;
      const odd = texts[index - 1];
      if (odd !== null && odd !== undefined) return encodeURIComponent(odd.toWellFormed());
      return ids[name ?? ""] ?? "a/b";
    });
  });

test("bodies of all kinds, on all routes", () =>
  check(fc.tuple(route, path, token, body), ([{ method }, url, by, value]) => ({
    method,
    url: `${API_BASE}${url}`,
    headers: { authorization: `Bearer ${by}`, "content-type": "application/json" },
    payload: JSON.stringify(value) ?? "",
  })));

test("bodies that are no JSON, in all encodings and types", () =>
  check(
    fc.tuple(
      route,
      token,
      fc.oneof(
        fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
        text.map((each) => Buffer.from(each)),
      ),
      fc.constantFrom(
        "application/json",
        "application/json; charset=latin1",
        "text/plain",
        "multipart/form-data",
        "x",
        "",
      ),
      fc.constantFrom(undefined, "gzip", "identity", "br"),
    ),
    ([{ method, path: pattern }, by, payload, type, encoding]) => ({
      method,
      url: `${API_BASE}${pattern.replaceAll(/:([a-z_]+)/g, (_, name: string) => ids[name] ?? "x")}`,
      headers: {
        authorization: `Bearer ${by}`,
        "content-type": type,
        ...(encoding === undefined ? {} : { "content-encoding": encoding }),
      },
      payload,
    }),
  ));

test("paths and methods", () =>
  check(
    fc.tuple(
      fc.constantFrom(...METHODS),
      fc.oneof(
        path,
        text.map((each) => encodeURI(each.toWellFormed())),
        text,
      ),
      token,
    ),
    ([method, url, by]) => ({
      method,
      url: `${API_BASE}/${url.toWellFormed().replaceAll(/[\s#\\]/g, "")}`,
      headers: { authorization: `Bearer ${by}` },
    }),
  ));

test("query strings", () => {
  const names = [
    "limit",
    "cursor",
    "space",
    "state",
    "deleted",
    "after",
    "before",
    "label",
    "follow",
    "force",
    "since",
  ];
  const pair = fc.tuple(fc.oneof(fc.constantFrom(...names), text), fc.oneof(text, fc.integer().map(String)));
  const query = fc.oneof(
    fc
      .array(pair, { maxLength: 5 })
      .map((pairs) =>
        new URLSearchParams(pairs.map(([name, value]) => [name.toWellFormed(), value.toWellFormed()])).toString(),
      ),
    text.map((each) => encodeURI(each.toWellFormed())),
    fc.constantFrom("limit=1&limit=2", "cursor[]=x", "limit[a]=1", "&&&", "=", "%", "%E0%A4%A"),
  );
  return check(fc.tuple(route, query, token), ([{ path: pattern }, search, by]) => ({
    method: "GET" as const,
    url: `${API_BASE}${pattern.replaceAll(/:([a-z_]+)/g, (_, name: string) => ids[name] ?? "x")}?${search}`,
    headers: { authorization: `Bearer ${by}` },
  }));
});

test("headers", () => {
  const value = fc.string({
    unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
    maxLength: 400,
  });
  const names = [
    "accept",
    "content-length",
    "host",
    "if-match",
    "if-none-match",
    "idempotency-key",
    "last-event-id",
    "origin",
    "prefer",
    "range",
    "traceparent",
    "x-forwarded-for",
    "x-request-id",
  ].filter((name) => name !== "content-length");
  return check(
    fc.tuple(route, token, fc.dictionary(fc.constantFrom(...names), value)),
    ([{ method, path: pattern }, by, headers]) => ({
      method,
      url: `${API_BASE}${pattern.replaceAll(/:([a-z_]+)/g, (_, name: string) => ids[name] ?? "x")}`,
      // A stream would never end.
      headers: { authorization: `Bearer ${by}`, ...headers, accept: "application/json" },
    }),
  );
});

test("tokens", () => {
  const good = fc.constantFrom(0, 1).map((index) => tokens[index] ?? "");
  /** A good token with one character changed, cut, or with something more. */
  const spoiled = fc.tuple(good, fc.nat(), fc.string({ maxLength: 3 })).map(([jwt, at, more]) => {
    const index = at % jwt.length;
    return `${jwt.slice(0, index)}${more}${jwt.slice(index + 1)}`;
  });
  const other = fc.oneof(
    spoiled,
    fc.base64String(),
    fc.string({ maxLength: 2000 }),
    fc.constantFrom("a.b.c", "..", "rwt_"),
  );
  const header = fc
    .tuple(fc.constantFrom("Bearer ", "bearer ", "Basic ", "Bearer", ""), other)
    .map((parts) => parts.join(""));
  return fc.assert(
    fc.asyncProperty(header, async (authorization) => {
      const clean = authorization.replaceAll(/[^\x20-\x7e]/g, "");
      const answer = await plane.app.inject({ url: `${API_BASE}/auth/me`, headers: { authorization: clean } });
      const isGood = tokens.some(
        (jwt) => clean.trim().toLowerCase() === `bearer ${jwt}`.toLowerCase() && clean.includes(jwt),
      );
      expect(answer.statusCode, clean).toBe(isGood ? 200 : 401);
    }),
    { numRuns: RUNS },
  );
});

test("memory does not grow with what was refused", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const url = `${API_BASE}/spaces`;
  const round = async (from: number) => {
    for (let count = 0; count < 1500; count += 1) {
      const nonce = `${from}-${count}-${"x".repeat(200)}`;
      await plane.app.inject({
        method: "POST",
        url: `${url}?${nonce}`,
        headers: {
          authorization: `Bearer ${nonce}`,
          "x-request-id": `r${from}-${count}`,
          "idempotency-key": nonce.slice(0, 200),
        },
        payload: { [nonce]: nonce },
      });
    }
    await plane.identity.audit.settled();
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    return process.memoryUsage().heapUsed;
  };
  (plane.logLines as string[]).length = 0;
  await round(0);
  (plane.logLines as string[]).length = 0;
  const before = await round(1);
  (plane.logLines as string[]).length = 0;
  const after = await round(2);
  (plane.logLines as string[]).length = 0;
  expect(after - before).toBeLessThan(4 * 1024 * 1024);
}, 120_000);
