import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, request, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { Network } from "@raworc/contract";
import { afterAll, beforeAll, expect, test } from "vitest";
import { silentLog } from "../telemetry/log.ts";
import { EgressProxy, isAllowed } from "./egress.ts";
import { isPublicAddress } from "./egress-address.ts";

let folder: string;
let target: Server;
let port: number;
const proxy = new EgressProxy({ log: silentLog(), mirrorHosts: ["localhost"] });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "raworc-egress-"));
  target = createServer((call, answer) => {
    answer.end(`${call.method} ${call.url} for ${call.headers.host}`);
  });
  target.listen(0, "127.0.0.1");
  await once(target, "listening");
  port = (target.address() as AddressInfo).port;
});

afterAll(async () => {
  await proxy.close();
  target.close();
  await rm(folder, { recursive: true, force: true });
});

async function serve(network: Network): Promise<string> {
  const path = join(folder, "egress.sock");
  await proxy.serve("one", path, network);
  return path;
}

async function get(socketPath: string, url: string): Promise<{ status: number | undefined; body: string }> {
  const call = request({ socketPath, path: url, headers: { host: "ignored" } });
  call.end();
  const [answer] = await once(call, "response");
  return { status: answer.statusCode, body: await text(answer) };
}

async function tunnel(socketPath: string, authority: string): Promise<string> {
  const socket = connect(socketPath);
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n\r\n`);
  const [first] = await once(socket, "data");
  const head = String(first);
  if (!head.startsWith("HTTP/1.1 200")) {
    socket.destroy();
    return head;
  }
  socket.write("GET /through HTTP/1.1\r\nhost: inner\r\nconnection: close\r\n\r\n");
  return text(socket);
}

test("a mirror named by the configuration is reached by request and by tunnel", async () => {
  const path = await serve({ mode: "open" });
  expect(await get(path, `http://localhost:${port}/a?b=1`)).toEqual({
    status: 200,
    body: `GET /a?b=1 for localhost:${port}`,
  });
  expect(await tunnel(path, `localhost:${port}`)).toContain("GET /through for inner");
});

test("addresses of the machine and private ones are refused in every spelling", async () => {
  const path = await serve({ mode: "open" });
  for (const host of ["127.0.0.1", "127.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"]) {
    expect(await get(path, `http://${host}:${port}/`), host).toMatchObject({ status: 403 });
  }
  expect(await tunnel(path, `127.0.0.1:${port}`)).toContain("403");
  expect(await tunnel(path, "169.254.169.254:80")).toContain("403");
});

test("an allow list opens its names on the web's ports, and nothing else", async () => {
  const path = await serve({ mode: "allowlist", allow: ["example.com"] });
  expect((await get(path, "http://other.invalid/")).body).toContain("not in the network's allow list");
  expect((await get(path, "http://example.com:8080/")).body).toContain("ports 80 and 443");
  expect(await get(await serve({ mode: "none" }), "http://example.com/")).toMatchObject({ status: 403 });
});

test("ending a computer's way out cuts what is open", async () => {
  const path = await serve({ mode: "open" });
  const socket = connect(path);
  await once(socket, "connect");
  const closed = once(socket, "close");
  await proxy.end("one");
  await closed;
});

test("names match themselves, and below a star all that ends so", () => {
  expect(isAllowed("API.example.com.", ["*.example.com"])).toBe(true);
  expect(isAllowed("example.com", ["*.example.com"])).toBe(false);
  expect(isAllowed("badexample.com", ["*.example.com"])).toBe(false);
  expect(isAllowed("example.com", ["example.com"])).toBe(true);
});

test("the public internet is told from private, special and own addresses", () => {
  for (const address of ["1.1.1.1", "203.0.113.80", "2606:4700::1111"])
    expect(isPublicAddress(address), address).toBe(true);
  for (const address of [
    "10.1.2.3",
    "100.64.0.1",
    "172.31.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "::1",
    "::",
    "fe80::1",
    "fd00::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "nonsense",
  ])
    expect(isPublicAddress(address), address).toBe(false);
});
