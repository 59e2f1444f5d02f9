import { once } from "node:events";
import { type AddressInfo, connect } from "node:net";
import { text } from "node:stream/consumers";
import type { FastifyInstance } from "fastify";
import { pino } from "pino";
import { afterEach, describe, expect, test } from "vitest";
import { sendEvents } from "./event-stream.ts";
import { openRoute } from "./route.ts";
import { createHttpServer, type HttpServerOptions } from "./server.ts";

const VERSION = { version: "0.3.0", api: "v0" as const };
const PATH = "/api/v0/version";

let app: FastifyInstance | undefined;
afterEach(async () => {
  await app?.close();
});

function start(options: Partial<HttpServerOptions> = {}): FastifyInstance {
  app = createHttpServer({
    log: pino({ level: "silent" }),
    authenticate: async () => ({
      principal: { id: "me", name: "me", bindings: [] },
      token: { id: "token-1", kind: "login", expiresAt: null },
    }),
    ...options,
  });
  return app;
}

async function listen(server: FastifyInstance): Promise<string> {
  await server.listen({ host: "127.0.0.1", port: 0 });
  return `http://127.0.0.1:${(server.server.address() as AddressInfo).port}`;
}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

describe("every answer", () => {
  test.each([
    ["what is there", PATH],
    ["what is not", "/nowhere"],
    ["what needs a token", "/api/v0/auth/me"],
    ["a path that can't be read", "/api/v0/%E0%A4%A"],
  ])("to %s forbids browsers to make anything of it, and has an id", async (_, url) => {
    const server = start();
    openRoute(server, "version.get", () => VERSION);
    openRoute(server, "auth.me", () => {
      throw new Error("nobody comes here");
    });
    const { headers } = await server.inject(url);
    expect(headers).toMatchObject({
      "cache-control": "no-store",
      "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
      "cross-origin-resource-policy": "same-origin",
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
      "x-request-id": expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(headers["server"]).toBeUndefined();
    expect(headers["x-powered-by"]).toBeUndefined();
  });

  test("has the id that the caller gave, unless it could be something else", async () => {
    const server = start();
    openRoute(server, "version.get", () => VERSION);
    const idOf = async (id: string) =>
      (await server.inject({ url: PATH, headers: { "x-request-id": id } })).headers["x-request-id"];
    expect(await idOf("My.request:1_-")).toBe("My.request:1_-");
    for (const id of ["a b", "x".repeat(129), '"', "ä"]) expect(await idOf(id)).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe("paths, methods and bodies", () => {
  test("a wrong method is 405 and names the right ones, whatever its body", async () => {
    const server = start();
    openRoute(server, "version.get", () => VERSION);
    for (const method of ["POST", "PUT", "DELETE", "PATCH"] as const) {
      const answer = await server.inject({
        method,
        url: PATH,
        headers: { "content-type": "application/json" },
        body: "{",
      });
      expect([answer.statusCode, answer.headers["allow"]]).toEqual([405, "GET, HEAD"]);
      expect(answer.json()).toMatchObject({ code: "method_not_allowed" });
    }
  });

  test("HEAD is GET without the body; a slash at the end changes nothing", async () => {
    const server = start();
    openRoute(server, "version.get", () => VERSION);
    const get = await server.inject(PATH);
    const head = await server.inject({ method: "HEAD", url: PATH });
    expect([head.statusCode, head.body]).toEqual([200, ""]);
    for (const name of ["content-type", "content-length", "etag"]) expect(head.headers[name]).toBe(get.headers[name]);
    expect((await server.inject(`${PATH}/`)).body).toBe(get.body);
  });

  test("what is no JSON, too large or packed is refused with what to do", async () => {
    const server = start();
    openRoute(server, "tokens.create", () => {
      throw new Error("nothing comes through");
    });
    const post = async (body: string | Buffer, headers: Record<string, string>) => {
      const answer = await server.inject({
        method: "POST",
        url: "/api/v0/auth/tokens",
        headers: { authorization: "Bearer x", "content-type": "application/json", ...headers },
        body,
      });
      return [answer.statusCode, answer.json<{ code: string }>().code];
    };
    expect(await post("{", {})).toEqual([400, "malformed_json"]);
    expect(await post(Buffer.from([0x22, 0xff, 0x22]), {})).toEqual([400, "malformed_json"]);
    expect(await post('{"__proto__":{}}', {})).toEqual([400, "malformed_json"]);
    expect(await post("name=x", { "content-type": "application/x-www-form-urlencoded" })).toEqual([
      415,
      "unsupported_media_type",
    ]);
    expect(await post("{}", { "content-encoding": "gzip" })).toEqual([415, "unsupported_media_type"]);
    expect(await post(`"${"x".repeat(8 * 1024 * 1024)}"`, {})).toEqual([413, "too_large"]);
  });

  test("what is no HTTP, has endless headers or no host, gets a problem and no more", async () => {
    const { port } = new URL(await listen(start()));
    const ask = async (request: string) => {
      const socket = connect(Number(port), "127.0.0.1");
      socket.end(request);
      return text(socket);
    };
    expect(await ask("nonsense\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 .*"code":"bad_request"/s);
    const endless = `GET ${PATH} HTTP/1.1\r\nHost: x\r\nX-Long: ${"x".repeat(20_000)}\r\n\r\n`;
    expect(await ask(endless)).toMatch(/^HTTP\/1\.1 413 .*"code":"too_large"/s);
    const hostless = `GET ${PATH} HTTP/1.1\r\nConnection: close\r\n\r\n`;
    expect(await ask(hostless)).toMatch(/^HTTP\/1\.1 400 .*Host header.*"code":"bad_request"/s);
    expect(await ask(`GET ${PATH} HTTP/1.0\r\n\r\n`)).toMatch(/^HTTP\/1\.1 404 /);
  });
});

test.each([
  ["localhost:7000", 404],
  ["app.localhost", 404],
  ["[::1]:7000", 404],
  ["127.0.0.1", 404],
  ["raworc.test:7000", 404],
  ["rebound.example", 403],
  ["localhost.rebound.example", 403],
])("a server of this machine alone that is called %s answers %i", async (host, status) => {
  const server = start({ hostNames: ["raworc.test"] });
  // The second time too: a good name is remembered.
  for (const _ of [1, 2]) expect((await server.inject({ url: PATH, headers: { host } })).statusCode).toBe(status);
  expect((await server.inject({ url: PATH, headers: { host: "other.example" } })).statusCode).toBe(403);
});

describe("pages of other origins", () => {
  const from = (origin: string) => ({ origin });

  test("those that are named may call and read; all others may not", async () => {
    const server = start({ crossOrigin: { origins: ["https://console.example"] } });
    openRoute(server, "version.get", () => VERSION);
    const allowed = await server.inject({ url: PATH, headers: from("https://console.example") });
    expect(allowed.headers).toMatchObject({
      "access-control-allow-origin": "https://console.example",
      "access-control-expose-headers": expect.stringContaining("x-request-id"),
      vary: "origin",
    });
    expect(allowed.headers["access-control-allow-credentials"]).toBeUndefined();
    for (const origin of ["https://evil.example", "null", "https://console.example.evil.example"]) {
      const { headers } = await server.inject({ url: PATH, headers: from(origin) });
      expect(headers["access-control-allow-origin"]).toBeUndefined();
    }
  });

  test("a browser that asks first is told what may be sent", async () => {
    const server = start({ crossOrigin: { origins: ["*"] } });
    openRoute(server, "version.get", () => VERSION);
    const answer = await server.inject({
      method: "OPTIONS",
      url: "/api/v0/sessions",
      headers: { ...from("https://any.example"), "access-control-request-method": "POST" },
    });
    expect(answer.statusCode).toBe(204);
    expect(answer.headers["access-control-allow-methods"]).toContain("PATCH");
    for (const name of ["authorization", "idempotency-key", "if-match", "last-event-id", "prefer"]) {
      expect(answer.headers["access-control-allow-headers"]).toContain(name);
    }
  });
});

describe("a server that stops", () => {
  test("lets running requests end, ends streams, and refuses new ones on old and new connections", async () => {
    const server = start();
    const begun = deferred();
    const mayEnd = deferred();
    openRoute(server, "version.get", async () => {
      begun.resolve();
      await mayEnd.promise;
      return VERSION;
    });
    openRoute(server, "auth.me", ({ reply, signal }) => {
      async function* events() {
        yield { id: 1, type: "first" };
        await once(signal, "abort");
      }
      return sendEvents(server, reply, events());
    });
    const url = await listen(server);
    const running = fetch(`${url}${PATH}`);
    const stream = await fetch(`${url}/api/v0/auth/me`, { headers: { authorization: "Bearer x" } });
    await begun.promise;

    const drained = server.api.drain(10_000);
    expect(await stream.text()).toContain("event: first");
    const refused = await fetch(`${url}${PATH}`);
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).toBe("2");
    expect(refused.headers.get("connection")).toBe("close");
    expect(await refused.json()).toMatchObject({ code: "draining" });
    mayEnd.resolve();
    expect(await (await running).json()).toEqual(VERSION);
    await drained;
    await expect(fetch(`${url}${PATH}`)).rejects.toThrow();
  });

  test("does not wait for ever: who waits is told to give up, who doesn't listen is cut off", async () => {
    const server = start();
    const begun = [deferred(), deferred()] as const;
    openRoute(server, "version.get", async ({ signal }) => {
      begun[0].resolve();
      await once(signal, "abort");
      throw signal.reason;
    });
    openRoute(server, "auth.me", async () => {
      begun[1].resolve();
      return new Promise<never>(() => undefined);
    });
    const url = await listen(server);
    const patient = fetch(`${url}${PATH}`);
    const deaf = fetch(`${url}/api/v0/auth/me`, { headers: { authorization: "Bearer x" } });
    await Promise.all(begun.map(({ promise }) => promise));
    const drained = server.api.drain(400);
    expect(server.api.drain(400)).toBeInstanceOf(Promise);
    expect((await patient).status).toBe(503);
    await expect(deaf).rejects.toThrow();
    await drained;
  });
});
