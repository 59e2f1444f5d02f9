import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { describeWith } from "../support/requirements.ts";
import { type Client, TestServer } from "../support/test-server.ts";

const PORT = 8123;
const MIB = 1024 * 1024;

/** A program inside: tells what it was asked, gives back what it was sent, streams, misbehaves, and speaks WebSocket. */
const PROGRAM = `
const http = require("node:http"), crypto = require("node:crypto");
const server = http.createServer((request, response) => {
  const { method, url, headers } = request;
  if (url.startsWith("/back")) return request.pipe(response);
  if (url === "/pieces") {
    response.write("first");
    request.once("close", () => clearTimeout(timer));
    const timer = setTimeout(() => response.end("last"), 600000);
    return process.once("SIGUSR2", () => { clearTimeout(timer); response.end("last"); });
  }
  if (url === "/rude") {
    response.writeHead(401, { "set-cookie": "a=b", "www-authenticate": "Basic", "service-worker-allowed": "/", location: "/login",
      "content-security-policy": "default-src *", "x-frame-options": "ALLOW", "x-own": "kept", "content-type": "text/html" });
    return response.end("<script>alert(1)</script>");
  }
  if (url === "/cut") return request.socket.destroy();
  if (url === "/junk") return request.socket.end("this is no HTTP\\r\\n\\r\\n");
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ method, url, headers }));
});
server.on("upgrade", (request, socket, head) => {
  if (request.url !== "/socket?x=1") return socket.end("HTTP/1.1 418 Teapot\\r\\ncontent-length: 3\\r\\n\\r\\nno!");
  const accept = crypto.createHash("sha1").update(request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64");
  const protocol = request.headers["sec-websocket-protocol"];
  socket.write("HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSet-Cookie: a=b\\r\\nSec-WebSocket-Accept: " + accept +
    (protocol ? "\\r\\nSec-WebSocket-Protocol: " + protocol : "") + "\\r\\n\\r\\n");
  const hello = JSON.stringify({ authorization: request.headers.authorization, protocol });
  socket.write(Buffer.concat([Buffer.from([0x81, hello.length]), Buffer.from(hello)]));
  // Frames of the caller go back as they came, without their mask.
  socket.on("data", (frame) => {
    const length = frame[1] & 0x7f, mask = frame.subarray(2, 6), text = frame.subarray(6, 6 + length).map((byte, index) => byte ^ mask[index % 4]);
    socket.write(Buffer.concat([Buffer.from([frame[0], length]), text]));
  });
  socket.on("error", () => undefined);
});
server.listen(${PORT}, process.argv[2] ?? "127.0.0.1");
`;

for (const runtime of ["sandbox", "docker"] as const) {
  describeWith([runtime], `ports of a session on ${runtime}`, () => {
    let server: TestServer;
    let client: Client;
    let id: string;

    beforeAll(async () => {
      server = await TestServer.start({ runtime });
      client = await server.client();
      id = await serve({ mode: "open" });
    });

    afterAll(() => server.destroy());

    async function serve(
      network: { mode: "open" | "none" } | { mode: "allowlist"; allow: string[] },
      address = "",
    ): Promise<string> {
      const session = await client.call("sessions.create", { body: { wait: "ready", network } });
      await client.files(session.id).write("workspace/program.cjs", PROGRAM);
      const listens = `: > /dev/tcp/127.0.0.1/${PORT}`;
      await sh(
        session.id,
        `node program.cjs ${address} > out 2>&1 & while ! bash -c '${listens}' 2>/dev/null && ! bash -c ': > /dev/tcp/::1/${PORT}' 2>/dev/null; do :; done`,
      );
      return session.id;
    }

    const sh = async (session: string, command: string): Promise<string> =>
      (await client.call("sessions.exec", { params: { id: session }, body: { command } })).stdout.trim();

    const ask = (path: string, options: Parameters<Client["raw"]>[1] = {}, session = id) =>
      client.raw(`sessions/${session}/ports/${PORT}${path}`, options);

    test("are asked with what the caller sent, but for what is ours", async () => {
      const headers = { "x-own": "1", cookie: "ours=1", accept: "text/css" };
      const answer = await ask("/a%20b/c?d=%2F&e", { headers });
      const {
        method,
        url,
        headers: got,
      } = (await answer.json()) as { method: string; url: string; headers: Record<string, string> };
      expect([method, url]).toEqual(["GET", "/a%20b/c?d=%2F&e"]);
      expect(got).toMatchObject({
        "x-own": "1",
        accept: "text/css",
        host: `localhost:${PORT}`,
        "x-forwarded-prefix": `/api/v0/sessions/${id}/ports/${PORT}`,
      });
      expect(Object.keys(got)).not.toContain("authorization");
      expect(Object.keys(got)).not.toContain("cookie");
      for (const name of ["POST", "PUT", "PATCH", "DELETE"]) {
        expect(await (await ask("", { method: name })).json()).toMatchObject({ method: name, url: "/" });
      }
      expect((await ask("/x", { method: "HEAD" })).status).toBe(200);
    });

    test("carry bodies both ways as they come", async () => {
      const sent = randomBytes(16 * MIB);
      const answer = await ask("/back", {
        method: "POST",
        body: sent,
        headers: { "content-type": "application/json" },
      });
      const hash = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
      expect(hash(new Uint8Array(await answer.arrayBuffer()))).toBe(hash(sent));
      const pieces = (await ask("/pieces")).body?.getReader();
      expect(Buffer.from((await pieces?.read())?.value ?? []).toString()).toBe("first");
      await sh(id, "pkill -USR2 -f program.cjs");
      expect(Buffer.from((await pieces?.read())?.value ?? []).toString()).toBe("last");
    });

    test("can say nothing about our origin", async () => {
      const answer = await ask("/rude");
      expect([answer.status, answer.headers.get("x-own"), answer.headers.get("content-type")]).toEqual([
        401,
        "kept",
        "text/html",
      ]);
      for (const name of ["set-cookie", "service-worker-allowed", "www-authenticate", "x-frame-options"]) {
        expect([name, answer.headers.get(name)]).toEqual([name, null]);
      }
      expect(answer.headers.get("content-security-policy")).toMatch(/default-src \*, sandbox (?!.*allow-same-origin)/);
      expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
      expect(answer.headers.get("location")).toBe(`/api/v0/sessions/${id}/ports/${PORT}/login`);
    });

    test("that nothing listens on, or nothing sensible, are 502", async () => {
      const problem = async (path: string) => {
        const answer = await client.raw(`sessions/${id}/ports/${path}`);
        return `${answer.status} ${((await answer.json()) as { code: string }).code}`;
      };
      expect(await problem("8124/")).toBe("502 port_unreachable");
      expect(await problem(`${PORT}/cut`)).toBe("502 port_unreachable");
      expect(await problem(`${PORT}/junk`)).toBe("502 port_unreachable");
      expect(await problem("0/")).toBe("404 not_found");
      expect(await problem("65536/")).toBe("404 not_found");
    });

    test("carry WebSockets, with the token of a browser kept back", async () => {
      const { token } = await client.call("tokens.create", { body: { name: "socket" } });
      const address = `${server.url.replace("http", "ws")}/api/v0/sessions/${id}/ports/${PORT}/socket`;
      const socket = new WebSocket(`${address}?x=1`, ["app.v1", `bearer.${token}`]);
      const messages: string[] = [];
      const upgraded = once(socket, "upgrade");
      socket.on("message", (data) => messages.push(String(data)));
      await once(socket, "open");
      const [answer] = await upgraded;
      expect(answer.headers["set-cookie"]).toBe(undefined);
      expect(socket.protocol).toBe("app.v1");
      socket.send("ping");
      await expect.poll(() => messages, { timeout: 20_000 }).toEqual([JSON.stringify({ protocol: "app.v1" }), "ping"]);
      const closed = once(socket, "close");
      await sh(id, "pkill -USR1 -f nothing; true");
      socket.terminate();
      await closed;
      const refused = new WebSocket(`${address}?x=2`, { headers: { authorization: `Bearer ${token}` } });
      const [, refusal] = await once(refused, "unexpected-response");
      expect(refusal.statusCode).toBe(418);
      refused.on("error", () => undefined);
      refused.terminate();
    });

    test("work without a network, on either loopback address, and not for what is the system's", async () => {
      const none = await serve({ mode: "none" }, runtime === "sandbox" ? "::1" : "127.0.0.1");
      expect(await (await ask("/none", {}, none)).json()).toMatchObject({ url: "/none" });
      await client.call("sessions.delete", { params: { id: none } });
      const listed = await client.call("sessions.create", {
        body: { wait: "ready", network: { mode: "allowlist", allow: ["example.com"] } },
      });
      const answer = await client.raw(`sessions/${listed.id}/ports/3128/`);
      expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([403, "forbidden"]);
      await client.call("sessions.delete", { params: { id: listed.id } });
    });

    test("wake a session that rests", async () => {
      await client.call("spaces.create", { body: { name: "resting", settings: { idle: { freeze_after_s: 1 } } } });
      const { id: resting } = await client.call("sessions.create", { body: { space: "resting", wait: "ready" } });
      await client.files(resting).write("workspace/program.cjs", PROGRAM);
      await sh(resting, "node program.cjs > out 2>&1 &");
      const { token } = await client.call("tokens.create", { body: { name: "rest" } });
      const address = `${server.url.replace("http", "ws")}/api/v0/sessions/${resting}/ports/${PORT}/socket?x=1`;
      const headers = { authorization: `Bearer ${token}` };
      await expect.poll(async () => (await ask("/", {}, resting)).status, { timeout: 20_000 }).toBe(200);
      const socket = new WebSocket(address, { headers });
      const messages: string[] = [];
      socket.on("message", (data) => messages.push(String(data)));
      await once(socket, "open");
      // A connection without traffic is no use, so it rests; a message on it wakes it again.
      const tier = async () => (await client.call("sessions.get", { params: { id: resting } })).tier;
      await expect.poll(tier, { timeout: 30_000 }).toBe("frozen");
      socket.send("wake up");
      await expect.poll(() => messages.at(-1), { timeout: 20_000 }).toBe("wake up");
      expect(await tier()).toBe("active");
      socket.terminate();
      await expect.poll(tier, { timeout: 30_000 }).toBe("frozen");
      expect(await (await ask("/again", {}, resting)).json()).toMatchObject({ url: "/again" });
    });
  });
}
