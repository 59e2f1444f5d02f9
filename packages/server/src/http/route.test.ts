import { RaworcError, type RouteName } from "@raworc/contract";
import type { FastifyInstance } from "fastify";
import { pino } from "pino";
import { afterEach, describe, expect, test } from "vitest";
import type { Principal, Target } from "../domain/access.ts";
import { BUILT_IN_ROLES } from "../domain/built-in-roles.ts";
import { SENT } from "./call.ts";
import { openRoute, route } from "./route.ts";
import { createHttpServer, type HttpServerOptions, page } from "./server.ts";

const HOME = { id: "space-1", name: "home" };
const TIME = "2026-01-01T00:00:00.000Z";
const SPACE = {
  name: "home",
  description: "",
  settings: {},
  active: true,
  created_at: TIME,
  updated_at: TIME,
  created_by: "admin",
};
const BASE = "/api/v0";

function principal(role: string, spaceId: string | null = null): Principal {
  const rules = BUILT_IN_ROLES.find((candidate) => candidate.name === role)?.rules ?? [];
  return { id: role, name: role, bindings: [{ role, rules, spaceId }] };
}

let app: FastifyInstance | undefined;
afterEach(async () => {
  await app?.close();
});

function start(options: Partial<HttpServerOptions> = {}): FastifyInstance {
  app = createHttpServer({
    log: pino({ level: "silent" }),
    checkAnswers: true,
    authenticate: async (token) => {
      if (token === "bad") throw new RaworcError("unauthenticated", "The token is not good. Log in again.");
      const [role = "", spaceId] = token.split(".");
      return { principal: principal(role, spaceId), token: { id: "token-1", kind: "login", expiresAt: TIME } };
    },
    ...options,
  });
  return app;
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const findHome = ({ params }: { params: { space: string } }): (Target & { found: string }) | undefined =>
  params.space === "home" ? { space: HOME, name: "home", found: "the home space" } : undefined;

describe("authentication", () => {
  test.each([
    ["no header", {}],
    ["another scheme", { authorization: "Basic YTpi" }],
    ["an empty token", { authorization: "Bearer " }],
    ["two tokens", { authorization: "Bearer a b" }],
    ["a token of 9000 characters", bearer("a".repeat(9000))],
    ["a token that is not good", bearer("bad")],
  ])("%s is 401 and names the scheme", async (_, headers) => {
    let reached = false;
    const server = start();
    route(server, "spaces.get", { locate: findHome }, () => {
      reached = true;
      return SPACE;
    });
    const answer = await server.inject({ url: `${BASE}/spaces/home`, headers });
    expect(answer.statusCode).toBe(401);
    expect(answer.headers["www-authenticate"]).toMatch(/^Bearer/);
    expect(answer.json()).toMatchObject({ code: "unauthenticated", status: 401 });
    expect(reached).toBe(false);
  });

  test("a body is not even parsed for somebody without a token", async () => {
    const server = start();
    route(server, "spaces.create", { locate: () => ({ space: null }) }, () => SPACE);
    const answer = await server.inject({
      method: "POST",
      url: `${BASE}/spaces`,
      headers: { "content-type": "application/json" },
      payload: "{",
    });
    expect(answer.statusCode).toBe(401);
  });

  test("a public route is answered without a token, a route about the caller knows him", async () => {
    const server = start();
    openRoute(server, "version.get", () => ({ version: "0.3.0", api: "v0" as const }));
    openRoute(server, "auth.me", ({ principal: me }) => ({
      user: me.name,
      type: "ServiceAccount" as const,
      space: null,
      roles: [],
      permissions: [],
    }));
    expect((await server.inject(`${BASE}/version`)).json()).toEqual({ version: "0.3.0", api: "v0" as const });
    expect((await server.inject(`${BASE}/auth/me`)).statusCode).toBe(401);
    expect((await server.inject({ url: `${BASE}/auth/me`, headers: bearer("viewer") })).json()).toMatchObject({
      user: "viewer",
    });
  });
});

describe("the authorize step", () => {
  test("the handler runs only with the right, and gets what locate found", async () => {
    const server = start();
    const seen: unknown[] = [];
    route(server, "spaces.delete", { locate: findHome }, ({ located, principal: who, query }) => {
      seen.push([located.found, who.name, query.force]);
      return undefined;
    });
    const call = (url: string, token: string) =>
      server.inject({ method: "DELETE", url: `${BASE}${url}`, headers: bearer(token) });
    expect((await call("/spaces/home", "viewer")).statusCode).toBe(403);
    expect((await call("/spaces/home", "developer.space-2")).statusCode).toBe(404);
    expect((await call("/spaces/nowhere", "admin")).statusCode).toBe(404);
    expect(seen).toEqual([]);
    expect((await call("/spaces/home?force=true", "admin")).statusCode).toBe(204);
    expect(seen).toEqual([["the home space", "admin", true]]);
  });

  test("hidden and absent look alike, byte for byte", async () => {
    const server = start();
    route(server, "spaces.get", { locate: findHome }, () => SPACE);
    const get = (url: string) => server.inject({ url: `${BASE}${url}`, headers: bearer("developer.space-2") });
    const [hidden, absent, impossible] = [
      await get("/spaces/home"),
      await get("/spaces/nowhere"),
      await get("/spaces/%20"),
    ];
    expect(hidden.statusCode).toBe(404);
    expect(absent.body).toBe(hidden.body);
    expect(impossible.body).toBe(hidden.body);
  });

  test("a route with a right can't be registered as an open one, nor the other way round", () => {
    const server = start();
    expect(() => openRoute(server, "spaces.get" as "version.get", () => ({ version: "", api: "v0" as const }))).toThrow(
      /needs a right/,
    );
    expect(() => route(server, "version.get" as "spaces.get", { locate: findHome }, () => SPACE)).toThrow(
      /needs no right/,
    );
  });

  test("nothing can be registered past the guard", () => {
    expect(() => start().get("/open", () => "")).toThrow(/no guard/);
  });

  test("what is registered can be listed", () => {
    const server = start();
    route(server, "spaces.update", { locate: findHome }, () => SPACE);
    page(server, "/docs", (_request, reply) => reply.send(""));
    const listed = server.api.routes.map(({ method, path, guard }) => [
      method,
      path,
      "route" in guard ? guard.route : guard.page,
    ]);
    expect(listed).toContainEqual(["PUT", "/api/v0/spaces/:space", "spaces.update"]);
    expect(listed).toContainEqual(["PATCH", "/api/v0/spaces/:space", "spaces.update"]);
    expect(listed).toContainEqual(["GET", "/docs", "/docs"]);
  });
});

describe("validation", () => {
  const post = (payload: unknown, url = "/spaces") =>
    (app as FastifyInstance).inject({
      method: "POST",
      url: `${BASE}${url}`,
      headers: bearer("admin"),
      payload: payload as object,
    });

  test("fields that fail are named, also those nobody knows", async () => {
    const server = start();
    route(server, "spaces.create", { locate: () => ({ space: null }) }, () => SPACE);
    const answer = await post({ name: "Not A Name", settings: { limits: { cpus: 0 } }, colour: 1, shape: 2 });
    expect(answer.statusCode).toBe(422);
    expect(answer.headers["content-type"]).toBe("application/problem+json");
    const problem = answer.json<{ code: string; detail: string; errors: { path: string; message: string }[] }>();
    expect(problem.code).toBe("validation_failed");
    expect(problem.errors.map((error) => error.path).toSorted()).toEqual([
      "body.colour",
      "body.name",
      "body.settings.limits.cpus",
      "body.shape",
    ]);
    expect(problem.detail).toContain("body.name");
    expect((await post({})).json()).toMatchObject({ errors: [{ path: "body.name", message: "is required" }] });
    expect((await post("null")).statusCode).toBe(415);
  });

  test("a body of null is no empty body", async () => {
    const server = start();
    route(server, "builds.create", { locate: findHome }, () => SENT);
    const answer = await server.inject({
      method: "POST",
      url: `${BASE}/spaces/home/build`,
      headers: { ...bearer("admin"), "content-type": "application/json" },
      payload: "null",
    });
    expect(answer.statusCode).toBe(422);
  });

  test("defaults are filled in, for an empty body too", async () => {
    const server = start();
    const seen: unknown[] = [];
    route(server, "builds.create", { locate: findHome }, ({ body, reply }) => {
      seen.push(body);
      reply.send();
      return SENT;
    });
    for (const headers of [
      {},
      { "content-type": "application/json" },
      { "content-type": "application/x-www-form-urlencoded" },
    ]) {
      const answer = await server.inject({
        method: "POST",
        url: `${BASE}/spaces/home/build`,
        headers: { ...bearer("admin"), ...headers },
      });
      expect(answer.statusCode).toBe(202);
    }
    expect(seen).toEqual(Array(3).fill({ force_rebuild: false }));
  });

  test.each([
    ["limit=0"],
    ["limit=1001"],
    ["limit=ten"],
    ["limit="],
    ["limit=1&limit=2"],
    ["cursor="],
    ["unknown=1"],
    ["__proto__=1"],
  ])("the query ?%s is 422", async (query) => {
    const server = start();
    route(server, "spaces.list", { locate: () => ({ space: "any" }) }, () => [SPACE]);
    const answer = await server.inject({ url: `${BASE}/spaces?${query}`, headers: bearer("admin") });
    expect(answer.statusCode).toBe(422);
    expect(answer.json<{ errors: { path: string }[] }>().errors[0]?.path).toMatch(/^query/);
  });

  test("a route that takes no query or body refuses both", async () => {
    const server = start();
    openRoute(server, "auth.logout", () => undefined);
    const call = (url: string, payload?: object) =>
      server.inject({
        method: "POST",
        url: `${BASE}${url}`,
        headers: bearer("admin"),
        ...(payload === undefined ? {} : { payload }),
      });
    expect((await call("/auth/logout")).statusCode).toBe(204);
    expect((await call("/auth/logout", {})).statusCode).toBe(204);
    expect((await call("/auth/logout?a=1")).statusCode).toBe(422);
    expect((await call("/auth/logout", { a: 1 })).statusCode).toBe(422);
  });

  test("thousands of faults are told as few", async () => {
    const server = start();
    route(server, "spaces.create", { locate: () => ({ space: null }) }, () => SPACE);
    const faults = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`${"x".repeat(300)}${index}`, 1]));
    const answer = await post(faults);
    expect(answer.statusCode).toBe(422);
    expect(answer.body.length).toBeLessThan(30_000);
  });
});

describe("answers", () => {
  test("have the status of the contract unless the handler says another", async () => {
    const server = start();
    route(server, "spaces.create", { locate: () => ({ space: null }) }, ({ body, reply }) => {
      if (body.name === "again") reply.code(200);
      return SPACE;
    });
    const create = (name: string) =>
      server.inject({ method: "POST", url: `${BASE}/spaces`, headers: bearer("admin"), payload: { name } });
    expect((await create("home")).statusCode).toBe(201);
    expect((await create("again")).statusCode).toBe(200);
  });

  test.each([
    ["lacks a field", { ...SPACE, active: undefined }],
    ["has a field too many", { ...SPACE, id: "internal" }],
  ])("one that %s is a fault of ours when answers are checked", async (_, wrong) => {
    const server = start();
    route(server, "spaces.get", { locate: findHome }, () => wrong as typeof SPACE);
    const answer = await server.inject({ url: `${BASE}/spaces/home`, headers: bearer("admin") });
    expect(answer.statusCode).toBe(500);
    expect(answer.body).not.toContain("contract");
  });

  test("PATCH is PUT", async () => {
    const server = start();
    route(
      server,
      "spaces.update",
      { locate: findHome },
      ({ body }) => ({ ...SPACE, ...body, settings: {} }) as typeof SPACE,
    );
    for (const method of ["PUT", "PATCH"] as const) {
      const answer = await server.inject({
        method,
        url: `${BASE}/spaces/home`,
        headers: bearer("admin"),
        payload: { description: method },
      });
      expect(answer.json()).toMatchObject({ description: method });
    }
  });
});

test("an aborted signal tells a handler that its client is gone", async () => {
  const server = start();
  const name: RouteName = "spaces.get";
  const aborted = new Promise<unknown>((resolve) => {
    route(server, name, { locate: findHome }, async ({ signal }) => {
      await new Promise<void>((ended) => signal.addEventListener("abort", () => ended(), { once: true }));
      resolve(signal.reason);
      return SPACE;
    });
  });
  const address = await server.listen({ host: "127.0.0.1", port: 0 });
  const client = new AbortController();
  const call = fetch(`${address}${BASE}/spaces/home`, { headers: bearer("admin"), signal: client.signal });
  setTimeout(() => client.abort(), 50);
  await expect(call).rejects.toThrow();
  expect(String(await aborted)).toMatch(/gone away/);
});
