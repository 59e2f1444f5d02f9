import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { HostCall } from "./host-call.ts";
import { HostCalls } from "./host-calls.ts";

const CHUNKED = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
const never = new AbortController().signal;

describe("calls to a host", () => {
  let directory: string;
  let server: Server;
  let calls: HostCalls;
  /** Of the host's side, in the order they came. */
  let sockets: Socket[];
  let onRequest: (socket: Socket, request: string) => void;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "raworc-calls-"));
    sockets = [];
    server = createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => undefined);
      socket.on("data", (bytes) => onRequest(socket, bytes.toString()));
    }).listen(join(directory, "host.sock"));
    await once(server, "listening");
    calls = new HostCalls(join(directory, "host.sock"));
  });
  afterEach(async () => {
    calls.close();
    for (const socket of sockets) socket.destroy();
    server.close();
    await rm(directory, { recursive: true });
  });

  const begin = (signal = never): HostCall => calls.begin({ method: "POST", path: "/x", body: { a: "ä" }, signal });
  const read = async (call: HostCall): Promise<[number, string]> => {
    const status = await call.status();
    const pieces: Buffer[] = [];
    for (let piece = await call.next(); piece !== undefined; piece = await call.next()) pieces.push(piece);
    return [status, Buffer.concat(pieces).toString()];
  };

  it("go one after the other over one connection, and side by side over their own", async () => {
    const requests: string[] = [];
    onRequest = (socket, request) => {
      requests.push(request);
      socket.write("HTTP/1.1 404 Refused\r\ncontent-length: 4\r\n\r\nnone");
    };
    for (let count = 0; count < 3; count += 1) expect(await read(begin())).toEqual([404, "none"]);
    expect(sockets.length).toBe(1);
    expect(requests[0]).toMatch(/^POST \/x HTTP\/1\.1\r\n(.+\r\n)*content-length: 10\r\n\r\n{"a":"ä"}$/);
    await Promise.all([read(begin()), read(begin())]);
    expect(sockets.length).toBe(2);
    // No more are kept than a host has use for.
    await Promise.all(Array.from({ length: 20 }, () => read(begin())));
    await vi.waitFor(() => expect(sockets.filter(({ destroyed }) => !destroyed).length).toBe(8));
  });

  it("take an answer however it is cut up", async () => {
    onRequest = async (socket) => {
      for (const byte of `${CHUNKED}5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n`) {
        socket.write(byte);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    expect(await read(begin())).toEqual([200, "hello world"]);
    expect(await read(begin())).toEqual([200, "hello world"]);
    expect(sockets.length).toBe(1);
  });

  it.each([
    ["is no HTTP", "hello\r\n\r\n"],
    ["has a head without an end", "x".repeat(70_000)],
    ["has two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n"],
    ["has a length that is none", "HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n"],
    ["has more than it says", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab"],
    ["has a chunk that is longer than it says", `${CHUNKED}1\r\nab\r\n`],
    ["promises another answer", "HTTP/1.1 100 Continue\r\n\r\n"],
  ])("end, with their connection, where the answer %s", async (_, answer) => {
    onRequest = (socket) => void socket.write(answer);
    await expect(read(begin())).rejects.toThrow();
    onRequest = (socket) => void socket.write("HTTP/1.1 204 OK\r\n\r\n");
    expect(await read(begin())).toEqual([204, ""]);
    expect(sockets.length).toBe(2);
  });

  it("give what came before the host was gone, and then say so", async () => {
    onRequest = (socket) => void socket.end(`${CHUNKED}5\r\nhello\r\n`);
    const call = begin();
    expect(await call.status()).toBe(200);
    expect(String(await call.next())).toBe("hello");
    await expect(call.next()).rejects.toThrow(/closed the connection/);
    onRequest = () => undefined;
    server.close();
    for (const socket of sockets) socket.destroy();
    await expect(begin().status()).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("don't trust a connection on which the host speaks without being asked", async () => {
    onRequest = (socket) => void socket.write("HTTP/1.1 204 OK\r\n\r\n");
    await read(begin());
    const [first] = sockets;
    if (first === undefined) throw new Error("There is no connection");
    first.write("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged");
    await once(first, "close");
    expect(await read(begin())).toEqual([204, ""]);
    expect(sockets.length).toBe(2);
  });

  it("end with their signal, and with all others", async () => {
    const asked = new Promise<void>((resolve) => {
      onRequest = () => resolve();
    });
    const controller = new AbortController();
    const call = begin(controller.signal);
    await asked;
    controller.abort(new Error("enough"));
    await expect(call.status()).rejects.toThrow("enough");
    const other = begin();
    calls.close();
    await expect(other.status()).rejects.toThrow();
  });

  it("keep the connection of an answer whose end is due, and no other", async () => {
    onRequest = (socket) => void socket.write(`${CHUNKED}5\r\nhello\r\n`);
    const due = begin();
    await due.status();
    due.leave({ due: true });
    const left = begin();
    await left.status();
    left.leave({ due: false });
    const [kept, cut] = sockets;
    if (kept === undefined || cut === undefined) throw new Error("There are no two connections");
    if (!cut.destroyed) await once(cut, "close");
    kept.write("0\r\n\r\n");
    const asked = new Set<Socket>();
    onRequest = (socket) => {
      asked.add(socket);
      socket.write("HTTP/1.1 204 OK\r\n\r\n");
    };
    await vi.waitFor(async () => {
      await Promise.all(sockets.map(() => read(begin())));
      expect(asked).toContain(kept);
    });
  });

  it("hold up a host whose answer is not read", async () => {
    let sent = 0;
    let isHeld = false;
    onRequest = (socket) => {
      socket.write(CHUNKED);
      const piece = Buffer.alloc(64 * 1024, "x");
      const more = (): void => {
        while (sent < 64 * 1024 * 1024) {
          sent += piece.length;
          socket.write("10000\r\n");
          socket.write(piece);
          if (!socket.write("\r\n")) {
            isHeld = true;
            socket.once("drain", more);
            return;
          }
        }
        socket.write("0\r\n\r\n");
      };
      more();
    };
    const call = begin();
    await call.status();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(isHeld).toBe(true);
    expect(sent).toBeLessThan(8 * 1024 * 1024);
    const [, text] = await read(call);
    expect(text.length).toBe(64 * 1024 * 1024);
  });
});
