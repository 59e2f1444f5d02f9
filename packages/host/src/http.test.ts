import { mkdtempSync, rmSync } from "node:fs";
import { Agent, type IncomingMessage, request as startRequest } from "node:http";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { HttpConnection } from "./http-connection.ts";
import type { HttpRequest } from "./http-request.ts";
import type { HttpResponse } from "./http-response.ts";

let directory = "";
let path = "";
let server: Server;
let handle: (request: HttpRequest, response: HttpResponse) => void;
let sockets = new Set<Socket>();
let connections = 0;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "raworc-http-"));
  path = join(directory, "socket");
  connections = 0;
  sockets = new Set();
  server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    new HttpConnection(socket, {
      onCall: (request, response) => handle(request, response),
      onUpgrade: (head, upgraded, first) => upgraded.end(`HTTP/1.1 101 OK\r\n\r\n${head.target} ${first}`),
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true });
});

async function body(request: HttpRequest): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request.pieces()) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces).toString();
}

const echo = (request: HttpRequest, response: HttpResponse): void => {
  body(request).then(
    (received) => response.writeHead(201, { "x-method": request.method }).end(received),
    () => response.destroy(),
  );
};

/** All that comes back for these bytes, until the server ends the connection or `until` is there. */
function raw(pieces: readonly string[], until: RegExp): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(path);
    let answer = "";
    const done = (): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.on("data", (chunk) => {
      answer += chunk.toString();
      if (until.test(answer)) done();
    });
    socket.on("error", () => undefined);
    socket.on("close", done);
    void (async () => {
      for (const piece of pieces) await new Promise((sent) => socket.write(piece, sent));
    })();
  });
}

test("answers one call after the other on a connection, whatever their bodies", async () => {
  handle = echo;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const call = (method: string, send: string | undefined, headers: Record<string, string | number> = {}) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const sent = startRequest({ socketPath: path, agent, method, path: "/x", headers }, resolve);
      sent.on("error", reject).end(send);
    });
  const long = "é".repeat(400_000);
  expect(await text(await call("POST", "plain", { "content-length": 5 }))).toBe("plain");
  expect(await text(await call("PUT", long, { "transfer-encoding": "chunked" }))).toBe(long);
  expect(await text(await call("PUT", long, { "content-length": Buffer.byteLength(long) }))).toBe(long);
  const head = await call("HEAD", undefined);
  expect([head.statusCode, head.headers["x-method"], await text(head)]).toEqual([201, "HEAD", ""]);
  expect(await text(await call("GET", undefined))).toBe("");
  expect(connections).toBe(1);
  agent.destroy();
});

test("reads what is cut anywhere, and calls that come before the answer to the one before", async () => {
  handle = echo;
  const one = "POST /a HTTP/1.1\r\nA: b\r\nContent-Length: 2\r\n\r\nhi";
  const two = "POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nT: r\r\n\r\n";
  const end = "GET /c HTTP/1.1\r\nConnection: close\r\n\r\n";
  for (const pieces of [[one + two + end], [...(one + two + end)]]) {
    const bodies = (await raw(pieces, /never/)).split(/HTTP\/1.1 201 OK\r\n.*?\r\n\r\n/s).slice(1);
    expect(bodies).toEqual(["hi", "abcd", ""]);
  }
  expect(await raw(["GET /up HTTP/1.1\r\nUpgrade: it\r\nConnection: Upgrade\r\n\r\nfirst"], /never/)).toBe(
    "HTTP/1.1 101 OK\r\n\r\n/up first",
  );
});

test("drops the connection of one who speaks no HTTP", async () => {
  handle = echo;
  const bad = [
    "nonsense\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.1\r\n: x\r\n\r\n",
    "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "GET / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n",
    "GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnone\r\n",
    "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
    `GET / HTTP/1.1\r\nX: ${"x".repeat(70_000)}`,
  ];
  for (const text of bad) expect(await raw([text], /./)).toBe("");
});

test("tells when nobody waits for the answer any more, and refuses before the body has come", async () => {
  let closed = false;
  const gone = new Promise<void>((resolve) => {
    handle = (_request, response) => {
      response.on("close", () => {
        closed = true;
        resolve();
      });
      response.write("first\n");
    };
  });
  expect(await raw(["GET /x HTTP/1.1\r\n\r\n"], /first/)).toContain(
    "transfer-encoding: chunked\r\n\r\n6\r\nfirst\n\r\n",
  );
  await gone;
  expect(closed).toBe(true);

  handle = (_request, response) => response.writeHead(413).end("no");
  const start = "PUT /x HTTP/1.1\r\nContent-Length: 3\r\n\r\n";
  expect(await raw([start, "ab"], /no$/)).toContain("HTTP/1.1 413 Refused\r\ncontent-length: 2\r\n\r\nno");
  handle = (request, response) => {
    void request.read(2).then((body) => response.writeHead(body === undefined ? 413 : 200).end("no"));
  };
  expect((await raw([`${start}abc${start}abc`], /no.*no$/s)).match(/413/g)).toHaveLength(2);
});

test("lets a sender wait while nobody reads his body", async () => {
  const taken = Promise.withResolvers<HttpRequest>();
  handle = (request) => taken.resolve(request);
  const sent = startRequest({ socketPath: path, method: "PUT", path: "/x", agent: false });
  sent.on("error", () => undefined).end(Buffer.alloc(16 * 1024 * 1024));
  const request = await taken.promise;
  for (let turn = 0; turn < 100; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  const [socket] = sockets;
  expect(socket?.bytesRead).toBeLessThan(2 * 1024 * 1024);
  let bytes = 0;
  for await (const piece of request.pieces()) bytes += piece.length;
  expect(bytes).toBe(16 * 1024 * 1024);
  expect(await request.read(10)).toHaveLength(0);
  sent.destroy();
});
