import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { RaworcError, type SessionEvent } from "@raworc/contract";
import type { FastifyInstance } from "fastify";
import { pino } from "pino";
import { afterEach, expect, test } from "vitest";
import { acceptsEventStream, formatEvent, lastEventId, sendEvents } from "./event-stream.ts";
import { route } from "./route.ts";
import { createHttpServer } from "./server.ts";
import { sendText } from "./stream.ts";

const SESSION = "0198c000-0000-7000-8000-000000000000";
const URL_PATH = `/api/v0/sessions/${SESSION}/events`;
const RULES = [{ api_groups: ["*"], resources: ["*"], verbs: ["*"] }];
const HEADERS = { authorization: "Bearer t", accept: "text/event-stream" };

let app: FastifyInstance | undefined;
afterEach(async () => {
  await app?.api.drain(1000);
});

type Source = (after: number, signal: AbortSignal) => AsyncIterable<SessionEvent>;

function start(source: Source): FastifyInstance {
  const server = createHttpServer({
    log: pino({ level: "silent" }),
    authenticate: async () => ({
      principal: { id: "1", name: "admin", bindings: [{ role: "admin", rules: RULES, spaceId: null }] },
      token: { id: "t", kind: "login", expiresAt: "" },
    }),
  });
  const locate = () => ({ space: { id: "s", name: "s" }, name: SESSION, ownerId: "1" });
  route(server, "events.list", { locate }, async ({ request, reply, signal }) => {
    if (!acceptsEventStream(request)) return [];
    const after = lastEventId(request) ?? 0;
    return sendEvents(server, reply, source(after, signal), after);
  });
  app = server;
  return server;
}

const event = (id: number, data: Record<string, unknown> = {}): SessionEvent => ({
  id,
  type: "message.delta",
  created_at: "2026-01-01T00:00:00.000Z",
  data,
});

const aborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });

test("an event is framed with its id, its type and the whole of it as data in one line", () => {
  expect(formatEvent(event(7, { text: "a\nb" }))).toBe(
    `id: 7\nevent: message.delta\ndata: ${JSON.stringify(event(7, { text: "a\nb" }))}\n\n`,
  );
  expect(formatEvent({ type: "a\ndata: injected" })).toBe(
    'event: a data: injected\ndata: {"type":"a\\ndata: injected"}\n\n',
  );
});

test("a stream has all events after the last id, and ends with its source", async () => {
  const server = start(async function* (after) {
    for (let id = after + 1; id <= 5; id += 1) yield event(id);
  });
  const answer = await server.inject({ url: URL_PATH, headers: { ...HEADERS, "last-event-id": "3" } });
  expect(answer.headers["content-type"]).toMatch(/^text\/event-stream/);
  expect(answer.headers["x-request-id"]).toBeDefined();
  expect(answer.headers["x-content-type-options"]).toBe("nosniff");
  // The first id lets a reader go on who loses the connection before the first event.
  expect(answer.body).toBe(`id: 3\n\n${formatEvent(event(4))}${formatEvent(event(5))}`);
});

test("a last id that is none is 422", async () => {
  const server = start(async function* () {});
  const answer = await server.inject({ url: URL_PATH, headers: { ...HEADERS, "last-event-id": "x" } });
  expect(answer.statusCode).toBe(422);
});

test("HEAD of a stream ends at once", async () => {
  const server = start(async function* (_after, signal) {
    await aborted(signal);
    yield event(1);
  });
  const answer = await server.inject({ method: "HEAD", url: URL_PATH, headers: HEADERS });
  expect(answer.statusCode).toBe(200);
  expect(answer.body).toBe("");
});

test("an expected failure ends the stream with an error event", async () => {
  const server = start(async function* () {
    yield event(1);
    throw new RaworcError("not_found", "The session was deleted.");
  });
  const answer = await server.inject({ url: URL_PATH, headers: HEADERS });
  expect(answer.body).toMatch(/\n\nevent: error\ndata: \{.*"code":"not_found".*\}\n\n$/);
});

async function listen(server: FastifyInstance): Promise<number> {
  await server.listen({ host: "127.0.0.1", port: 0 });
  const address = server.server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** A client that decides itself when it reads. */
async function open(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  socket.pause();
  const head = Object.entries(HEADERS).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`GET ${URL_PATH} HTTP/1.1\r\nhost: localhost\r\n${head.join("")}\r\n`);
  return socket;
}

test("an unexpected failure cuts the connection, so that the stream does not look complete", async () => {
  const server = start(async function* () {
    yield event(1);
    throw new Error("a secret");
  });
  const port = await listen(server);
  const socket = await open(port);
  let text = "";
  socket.on("data", (bytes: Buffer) => {
    text += bytes.toString();
  });
  socket.on("error", () => {});
  socket.resume();
  await once(socket, "close");
  expect(text).not.toContain("secret");
  expect(text.endsWith("0\r\n\r\n")).toBe(false);
});

test("a reader that does not read stops the source, and gets everything when it reads", async () => {
  const total = 2000;
  const text = "x".repeat(64 * 1024);
  let made = 0;
  const server = start(async function* () {
    while (made < total) {
      made += 1;
      yield event(made, { text });
    }
  });
  const socket = await open(await listen(server));
  // The source is stopped once it makes nothing more while the loop turns; what it made then fits the sockets' buffers.
  let before = -1;
  while (made === 0 || made !== before) {
    before = made;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  expect(made).toBeLessThan(total / 4);
  let bytes = 0;
  socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (chunk.toString("latin1").endsWith("0\r\n\r\n")) socket.end();
  });
  socket.resume();
  await once(socket, "close");
  expect(made).toBe(total);
  expect(bytes).toBeGreaterThan(total * text.length);
});

test("the source ends when its reader goes, and heartbeats with it", async () => {
  const beats: string[] = [];
  let ended: (() => void) | undefined;
  const gone = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const server = start(async function* (_after, signal) {
    yield event(1);
    await aborted(signal);
    ended?.();
  });
  const socket = await open(await listen(server));
  socket.on("data", (chunk: Buffer) => beats.push(chunk.toString()));
  socket.resume();
  while (!beats.join("").includes("id: 1")) await once(socket, "data");
  server.api.heartbeat.beat();
  while (!beats.join("").includes("\r\n:\n\n\r\n")) await once(socket, "data");
  socket.destroy();
  await gone;
});

test("a stream ends properly when the server stops, and new requests are refused meanwhile", async () => {
  const server = start(async function* (_after, signal) {
    yield event(1);
    await aborted(signal);
  });
  const socket = await open(await listen(server));
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  socket.resume();
  while (!text.includes("id: 1")) await once(socket, "data");
  const closed = once(socket, "end");
  const drained = server.api.drain(60_000);
  const refused = await server.inject({ url: URL_PATH, headers: HEADERS }).catch((error: unknown) => error);
  await closed;
  await drained;
  expect(text.endsWith("0\r\n\r\n")).toBe(true);
  expect(refused).toMatchObject({ statusCode: 503 });
  expect(await server.api.drain(1)).toBeUndefined();
});

test("text comes piece by piece", async () => {
  const server = createHttpServer({ log: pino({ level: "silent" }), authenticate: () => Promise.reject(new Error()) });
  app = server;
  server.get("/text", { config: { guard: { page: "/text" } } }, async (_request, reply) => {
    await sendText(
      server,
      reply,
      (async function* () {
        yield "one\n";
        yield "two\n";
      })(),
    );
    return reply;
  });
  const answer = await server.inject("/text");
  expect([answer.headers["content-type"], answer.body]).toEqual(["text/plain; charset=utf-8", "one\ntwo\n"]);
});
