import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, expectTypeOf, test } from "vitest";
import { type Client, createClient } from "./client.ts";
import { AnswerError, ApiError, ConnectionError } from "./errors.ts";

const SESSION = "01938f6e-0000-7000-8000-000000000001";
const NOW = "2026-11-24T00:00:00.000Z";
const space = (name: string) => ({
  name,
  description: "",
  settings: {},
  active: true,
  created_at: NOW,
  updated_at: NOW,
  created_by: "admin",
});

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(listener: RequestListener, silenceMs = 30_000): Promise<Client> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const reconnect = { firstDelayMs: 1, mostDelayMs: 2, patienceMs: 30_000, silenceMs };
  return createClient({ server: `http://127.0.0.1:${port}`, token: "secret", reconnect });
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text === "" ? undefined : JSON.parse(text);
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe("calls", () => {
  test("fill the path, send query, body and token, and check the answer", async () => {
    let seen: unknown;
    const client = await serve(async (request, response) => {
      seen = [request.method, request.url, request.headers.authorization, await bodyOf(request)];
      response.setHeader("content-type", "application/json").end(JSON.stringify(space("a b")));
    });
    const failure = await failureOf(
      client.call("spaces.update", { params: { space: "a/../b?" }, body: { active: false } }),
    );
    expect(seen).toEqual(["PUT", "/api/v0/spaces/a%2F..%2Fb%3F", "Bearer secret", { active: false }]);
    expect(failure).toBeInstanceOf(AnswerError);
    expect(String(failure)).toContain("spaces.update");
  });

  test("are typed by the contract", async () => {
    const client = createClient({ server: "http://127.0.0.1:1" });
    expectTypeOf(client.call<"sessions.get">).returns.resolves.toHaveProperty("state");
    expectTypeOf(client.call<"auth.logout">).returns.resolves.toEqualTypeOf<undefined>();
    // @ts-expect-error: the parameter is missing
    await expect(failureOf(client.call("sessions.get"))).resolves.toBeInstanceOf(TypeError);
    // @ts-expect-error: there is no such query
    void (() => client.call("sessions.list", { query: { stat: "idle" } }));
  });

  test("throw the problem that the server tells of", async () => {
    const client = await serve((_, response) => {
      const errors = [{ path: "body.name", message: "is taken" }];
      const problem = { type: "x", title: "t", status: 409, detail: "Choose another.", code: "name_taken", errors };
      response.writeHead(409, {
        "content-type": "application/problem+json",
        "x-request-id": "r-1",
        "retry-after": "7",
      });
      response.end(JSON.stringify(problem));
    });
    const failure = await failureOf(client.call("spaces.create", { body: { name: "x" } }));
    expect(failure).toBeInstanceOf(ApiError);
    expect(failure).toMatchObject({
      status: 409,
      code: "name_taken",
      message: "Choose another.",
      errors: [{ path: "body.name", message: "is taken" }],
      requestId: "r-1",
      retryAfterSeconds: 7,
    });
  });

  test("tell another program from a Raworc server, and both from nobody", async () => {
    const client = await serve((_, response) => response.writeHead(502).end("<html>"));
    expect(await failureOf(client.call("version.get"))).toMatchObject({ status: 502, code: "unexpected_answer" });
    const nobody = createClient({ server: client.server });
    servers[0]?.closeAllConnections();
    await new Promise((resolve) => servers.splice(0)[0]?.close(resolve));
    const failure = await failureOf(nobody.call("version.get"));
    expect(failure).toBeInstanceOf(ConnectionError);
    expect(failure).toMatchObject({ reason: "connection refused", server: client.server });
  });

  test("never leave the server they are for", async () => {
    const client = await serve((_, response) => response.writeHead(302, { location: "http://127.0.0.1:1/" }).end());
    expect((await client.raw("sessions")).status).toBe(302);
    await expect(client.raw("http://127.0.0.1:1/x")).resolves.toMatchObject({
      url: expect.stringContaining("/api/v0/http"),
    });
    await expect(client.raw("//other.example/x")).resolves.toMatchObject({
      url: expect.stringContaining(client.server),
    });
  });

  test("walk through all pages", async () => {
    const client = await serve((request, response) => {
      const cursor = new URL(request.url ?? "", "http://x").searchParams.get("cursor");
      const pages: Record<string, [string, string?]> = {
        "": ["one", "c=1&"],
        "c=1&": ["two", "last"],
        last: ["three"],
      };
      const [name, next] = pages[cursor ?? ""] ?? ["none"];
      const query = `limit=1&cursor=${encodeURIComponent(next ?? "")}`;
      if (next !== undefined)
        response.setHeader("link", `</api/v0/spaces?x>; rel="prev", </api/v0/spaces?${query}>; rel="next"`);
      response.setHeader("content-type", "application/json").end(JSON.stringify([space(name)]));
    });
    const names = await Array.fromAsync(client.items("spaces.list", { query: { limit: 1 } }), (item) => item.name);
    expect(names).toEqual(["one", "two", "three"]);
  });
});

describe("event streams", () => {
  const event = (id: number) => {
    const data = { id, type: "message.delta", created_at: NOW, data: { text: `piece ${id}` } };
    return `id: ${id}\nevent: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
  };

  test("go on after the last whole event when a connection breaks, the server is gone or not ready", async () => {
    const asked: unknown[] = [];
    const client = await serve((request, response) => {
      asked.push([request.url, request.headers["last-event-id"]]);
      if (asked.length === 2) return response.writeHead(503).end();
      response.writeHead(200, { "content-type": "text/event-stream" });
      if (asked.length === 1) {
        response.write(`:\n\n${event(1)}${event(2)}${event(3).slice(0, 40)}`);
        setImmediate(() => response.destroy());
      } else if (asked.length === 3) response.end(event(3));
      else response.write(event(4));
      return undefined;
    });
    const stop = new AbortController();
    const ids: number[] = [];
    for await (const { id } of client.events(SESSION, { after: 0, signal: stop.signal })) {
      ids.push(id);
      if (id === 4) stop.abort();
    }
    expect(ids).toEqual([1, 2, 3, 4]);
    const url = `/api/v0/sessions/${SESSION}/events?after=0`;
    expect(asked).toEqual([
      [url, undefined],
      [url, "2"],
      [url, "2"],
      [url, "3"],
    ]);
  });

  test("leave a connection that has fallen silent after its beginning", async () => {
    let calls = 0;
    const client = await serve((_, response) => {
      calls += 1;
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(event(calls));
    }, 100);
    const events = client.events(SESSION);
    expect((await events.next()).value).toMatchObject({ id: 1 });
    expect((await events.next()).value).toMatchObject({ id: 2 });
    await events.return(undefined);
  });

  test("end with what no other try would change", async () => {
    let calls = 0;
    const client = await serve((_, response) => {
      calls += 1;
      if (calls > 1) return response.writeHead(404).end(JSON.stringify({ code: "not_found", detail: "Gone." }));
      response.writeHead(200, { "content-type": "text/event-stream" });
      return response.end(event(1));
    });
    const failure = await failureOf(Array.fromAsync(client.events(SESSION)));
    expect(failure).toMatchObject({ status: 404, message: "Gone." });
  });

  test("throw the problem that ends a stream, and pass on an event of the same name", async () => {
    const logged = { id: 1, type: "error", created_at: NOW, data: { message: "x" } };
    const client = await serve((_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(`id: 1\nevent: error\ndata: ${JSON.stringify(logged)}\n\n`);
      response.end(`event: error\ndata: ${JSON.stringify({ code: "not_found", detail: "Gone.", status: 404 })}\n\n`);
    });
    const events = client.events(SESSION);
    expect((await events.next()).value).toEqual(logged);
    expect(await failureOf(events.next())).toMatchObject({ status: 404 });
  });

  test("of a build go on until the build has ended, not only the connection", async () => {
    let logs = 0;
    const agents: unknown[] = [];
    const build = { build_id: SESSION, space: "default", image_tag: null, agents, agents_deployed: [], error: null };
    const client = await serve((request, response) => {
      const resumed = request.headers["last-event-id"];
      if (request.url?.includes("/logs") !== true) {
        const status = logs === 1 ? "building" : "completed";
        const times = { created_at: NOW, started_at: NOW, completed_at: null };
        return response.end(JSON.stringify({ ...build, ...times, status }));
      }
      logs += 1;
      const id = resumed === undefined ? 1 : Number(resumed) + 1;
      response.writeHead(200, { "content-type": "text/event-stream" });
      return response.end(
        `id: ${id}\nevent: build.log\ndata: ${JSON.stringify({ id, data: { line: `line ${id}` } })}\n\n`,
      );
    });
    const lines = await Array.fromAsync(client.buildLog("default", SESSION), ({ line }) => line);
    expect(lines).toEqual(["line 1", "line 2"]);
  });
});
