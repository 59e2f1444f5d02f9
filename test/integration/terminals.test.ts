import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { peakMemoryKb } from "../support/process-memory.ts";
import { describeWith } from "../support/requirements.ts";
import { type Client, TestServer } from "../support/test-server.ts";
import { Viewer } from "../support/viewer.ts";

for (const runtime of ["sandbox", "docker"] as const) {
  describeWith([runtime], `terminals of a session on ${runtime}`, () => {
    let server: TestServer;
    let client: Client;
    let id: string;

    beforeAll(async () => {
      server = await TestServer.start({ runtime });
      client = await server.client();
      ({ id } = await client.call("sessions.create", { body: { wait: "ready" } }));
    });

    afterAll(() => server.destroy());

    const sh = async (command: string): Promise<string> =>
      (await client.call("sessions.exec", { params: { id }, body: { command } })).stdout.trim();

    test("are real: size, control characters, job control, the session's user and folder", async () => {
      const viewer = await Viewer.open(client, id, { cols: 101, rows: 33 });
      viewer.type("stty size; id -u; pwd; test -t 0 && tty | sed s/^/at:/; test -O $(tty) && echo mi''ne\n");
      await viewer.sees(/33 101\r\n1000\r\n\/session\/workspace\r\nat:\/dev\/pts\/\d+\r\nmine\r\n/);
      const waits = `bash -c 'trap "stty size; exit" WINCH; echo rea""dy; while :; do sleep 0.05; done'`;
      viewer.type(`${waits}\n`);
      await viewer.sees("ready");
      viewer.terminal.resize(77, 22);
      await viewer.sees("22 77\r\n");
      viewer.type("sleep 1000\n");
      await expect.poll(() => sh("pgrep -x sleep | wc -l"), { timeout: 20_000 }).toBe("1");
      viewer.type("\u0003");
      viewer.type("echo still he''re; printf 'ü\\n' | od -c | head -1\n");
      await viewer.sees("still here");
      viewer.type("exit 7\n");
      expect(await viewer.end()).toMatchObject({ exitCode: 7 });
      await expect.poll(() => sh("pgrep -f '[t]erminal.mjs' | wc -l"), { timeout: 20_000 }).toBe("0");
    });

    test("go on when nobody looks, and show what there was to who comes again, and to several", async () => {
      const first = await Viewer.open(client, id);
      first.type("echo on''e; variable=kept\n");
      await first.sees("one\r\n");
      first.close();
      await first.end();
      const second = await Viewer.open(client, id);
      await second.sees("one\r\n");
      const third = await Viewer.open(client, id);
      second.type("echo $variable | tr a-z A-Z\n");
      await Promise.all([second.sees("KEPT"), third.sees("KEPT")]);
      third.type("seq 1 200000; echo en''d\n");
      await Promise.all([second.sees("end\r\n"), third.sees("end\r\n")]);
      const fourth = await Viewer.open(client, id);
      const scrollback = await fourth.sees("end\r\n");
      expect(scrollback.length).toBeGreaterThan(200 * 1024);
      expect(scrollback.length).toBeLessThan(300 * 1024);
      expect(scrollback).not.toContain("KEPT");
      expect(scrollback).toMatch(/^\d+\r\n\d+\r\n/);
      const other = await Viewer.open(client, id, { id: "other" });
      other.type("echo $variable | wc -c | sed s/^/bytes:/\n");
      await other.sees("bytes:1");
      for (const viewer of [second, third, fourth]) viewer.close();
      other.type("exit\n");
      expect(await other.end()).toMatchObject({ exitCode: 0 });
    });

    test("who reads slowly is not kept for, and holds nobody up", async () => {
      const { token } = await client.call("tokens.create", { body: { name: "slow" } });
      const address = `${server.url.replace("http", "ws")}/api/v0/sessions/${id}/terminal?id=flood`;
      const slow = new WebSocket(address, { headers: { authorization: `Bearer ${token}` } });
      await new Promise((resolve) => slow.once("open", resolve));
      slow.pause();
      const before = peakMemoryKb(server.pid);
      const fast = await Viewer.open(client, id, { id: "flood" });
      fast.type("head -c 100000000 /dev/zero | tr '\\0' x; echo; echo do''ne\n");
      await fast.sees("done\r\n");
      expect(peakMemoryKb(server.pid) - before).toBeLessThan(110 * 1024);
      const closed = new Promise<number>((resolve) => slow.once("close", resolve));
      slow.resume();
      expect(await closed).toBe(1013);
      // Alone, a slow one sets the pace: all that is written waits for it.
      const alone = new WebSocket(`${address}&cols=80&rows=24`, { headers: { authorization: `Bearer ${token}` } });
      await new Promise((resolve) => alone.once("open", resolve));
      fast.close();
      await fast.end();
      alone.pause();
      alone.send(
        Buffer.from("clear; (head -c 30000000 /dev/zero | tr '\\0' y; echo over > /session/workspace/over)\n"),
      );
      await expect.poll(() => sh("pgrep -x head | wc -l"), { timeout: 20_000 }).toBe("1");
      expect(await sh("cat over 2>&1 || true")).not.toBe("over");
      alone.resume();
      await expect.poll(() => sh("cat over"), { timeout: 30_000 }).toBe("over");
      alone.terminate();
    });

    test("are refused with a reason", async () => {
      await expect(
        client.terminal("0190a000-0000-7000-8000-000000000000", { onOutput: () => undefined }),
      ).rejects.toMatchObject({
        status: 404,
      });
      await expect(client.terminal(id, { id: "a/b", onOutput: () => undefined })).rejects.toMatchObject({
        status: 422,
      });
      const paused = await client.call("sessions.create", { body: { wait: "ready" } });
      const viewer = await Viewer.open(client, paused.id);
      await client.call("sessions.pause", { params: { id: paused.id } });
      expect((await viewer.end()).exitCode).toBe(undefined);
      await expect(client.terminal(paused.id, { onOutput: () => undefined })).rejects.toMatchObject({ status: 409 });
      await client.call("sessions.delete", { params: { id: paused.id } });
      const address = `${server.url.replace("http", "ws")}/api/v0/sessions/${id}/terminal`;
      const refusal = (options: object) =>
        new Promise<number | undefined>((resolve) => {
          const socket = new WebSocket(address, options);
          socket.once("unexpected-response", (_request, answer) => resolve(answer.statusCode));
          socket.on("error", () => undefined);
        });
      const { token } = await client.call("tokens.create", { body: { name: "origin" } });
      const headers = { authorization: `Bearer ${token}` };
      expect(await refusal({})).toBe(401);
      expect(await refusal({ headers: { authorization: "Bearer nonsense" } })).toBe(401);
      expect(await refusal({ headers, origin: "https://elsewhere.example" })).toBe(403);
      const junk = new WebSocket(address, { headers });
      await new Promise((resolve) => junk.once("open", resolve));
      junk.send("no resize");
      expect(await new Promise((resolve) => junk.once("close", resolve))).toBe(1008);
    });

    test("end at once for who may no longer look on", async () => {
      const { id: tokenId, token } = await client.call("tokens.create", { body: { name: "ends" } });
      const address = `${server.url.replace("http", "ws")}/api/v0/sessions/${id}/terminal`;
      const socket = new WebSocket(address, ["raworc.terminal", `bearer.${token}`]);
      await new Promise((resolve) => socket.once("open", resolve));
      expect(socket.protocol).toBe("raworc.terminal");
      const closed = new Promise<number>((resolve) => socket.once("close", resolve));
      await client.call("tokens.delete", { params: { id: tokenId } });
      expect(await closed).toBe(1013);
    });
  });
}
