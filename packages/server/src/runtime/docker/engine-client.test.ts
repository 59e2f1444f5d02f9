import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { DriverError } from "../driver.ts";
import { EngineClient, engineAnswers, isStatus } from "./engine-client.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** An engine that answers each path as told, and breaks off at any other. */
async function engine(
  version: { ApiVersion: string; MinAPIVersion?: string },
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<{ readonly client: EngineClient; readonly socket: string }> {
  const directory = mkdtempSync(join(tmpdir(), "raworc-engine-"));
  const socket = join(directory, "s");
  const server = createServer((request, response) => {
    if (request.url === "/version") response.end(JSON.stringify({ Version: "1.2.3", ...version }));
    else answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const client = new EngineClient(socket);
  closers.push(() => {
    client.close();
    server.closeAllConnections();
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return { client, socket };
}

describe("EngineClient", () => {
  it("speaks version 1.41, or the oldest that a newer engine still speaks", async () => {
    const paths: string[] = [];
    const note = (request: IncomingMessage, response: ServerResponse) => {
      paths.push(request.url ?? "");
      response.end("{}");
    };
    const old = await engine({ ApiVersion: "1.41", MinAPIVersion: "1.12" }, note);
    await old.client.run({ method: "GET", path: "/info" });
    const newer = await engine({ ApiVersion: "1.52", MinAPIVersion: "1.44" }, note);
    await newer.client.run({ method: "GET", path: "/info" });
    expect(paths).toEqual(["/v1.41/info", "/v1.44/info"]);
    const ancient = await engine({ ApiVersion: "1.40" }, note);
    await expect(ancient.client.run({ method: "GET", path: "/info" })).rejects.toThrow(/1\.2\.3 is too old.*20\.10/);
  });

  it("says what the engine says, and whether to try again", async () => {
    const { client } = await engine({ ApiVersion: "1.41" }, (request, response) => {
      response.writeHead(Number(/\d{3}$/.exec(request.url ?? "")?.[0])).end('{"message":"no space left on device"}');
    });
    const call = (status: number) => client.run({ method: "POST", path: `/${status}` });
    await expect(call(500)).rejects.toMatchObject({
      transient: true,
      message: expect.stringContaining("no space left"),
    });
    await expect(call(400)).rejects.toMatchObject({ transient: false, status: 400 });
    expect(await client.run({ method: "POST", path: "/304" }, [304])).toBe(304);
    expect(await client.run({ method: "DELETE", path: "/404" }, [404])).toBe(404);
    expect(await client.find({ method: "GET", path: "/404" }, z.object({}))).toBeUndefined();
    expect(isStatus(await call(409).catch((error: unknown) => error), 404, 409)).toBe(true);
  });

  it("refuses answers that it does not understand", async () => {
    const { client } = await engine({ ApiVersion: "1.41" }, (_, response) => response.end("<html>"));
    await expect(client.json({ method: "GET", path: "/info" }, z.object({}))).rejects.toThrow(DriverError);
  });

  it("makes a call again whose kept connection the engine had closed", async () => {
    let calls = 0;
    const { client } = await engine({ ApiVersion: "1.41" }, (request, response) => {
      calls += 1;
      if (calls === 2) request.socket.destroy();
      else response.end("{}");
    });
    await client.run({ method: "GET", path: "/one" });
    await client.run({ method: "GET", path: "/two" });
    expect(calls).toBe(3);
  });

  it("rejects with the reason of an abort, and says when nothing answers", async () => {
    const { client } = await engine({ ApiVersion: "1.41" }, () => undefined);
    const aborting = new AbortController();
    const call = client.run({ method: "GET", path: "/never", signal: aborting.signal });
    const reason = new Error("enough");
    aborting.abort(reason);
    await expect(call).rejects.toBe(reason);

    const nobody = new EngineClient("/nowhere/docker.sock");
    const error: unknown = await nobody.run({ method: "GET", path: "/info" }).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ transient: true, message: expect.stringContaining("Start Docker") });
    expect(await engineAnswers("/nowhere/docker.sock")).toBe(false);
    expect(await engineAnswers(null)).toBe(false);
  });
});
