import type { Client as ApiClient } from "@raworc/client";
import { ServerSentEventParser } from "@raworc/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { deployAgents } from "../support/deploy.ts";
import { PROBE_AGENTS } from "../support/probe-agents.ts";
import { Repository } from "../support/repository.ts";
import { describeWith } from "../support/requirements.ts";
import { TestServer } from "../support/test-server.ts";

for (const runtime of ["sandbox", "docker"] as const) {
  describeWith([runtime], `logs and usage of a session on ${runtime}`, () => {
    let repository: Repository;
    let server: TestServer;
    let client: ApiClient;
    let id: string;

    beforeAll(async () => {
      repository = new Repository(PROBE_AGENTS);
      server = await TestServer.start({ runtime });
      client = await server.client();
      await deployAgents(client, repository.path, { js: "node" });
      ({ id } = await client.call("sessions.create", { body: { wait: "ready" } }));
    });

    afterAll(async () => {
      await server.destroy();
      repository.remove();
    });

    const send = (content: string) =>
      client.call("messages.create", { params: { id }, body: { content, wait: "reply" } });
    const text = async (path: string) => (await client.raw(path, { headers: { accept: "text/plain" } })).text();

    /** Lines of a stream of events, as they come. */
    async function* follow(
      path: string,
      signal: AbortSignal,
    ): AsyncGenerator<{ line: string; [field: string]: unknown }> {
      const { body } = await client.raw(path, { headers: { accept: "text/event-stream" }, signal });
      const parser = new ServerSentEventParser();
      for await (const piece of body ?? []) {
        for (const { data, type } of parser.push(piece)) if (type === "agent.log") yield JSON.parse(data).data;
      }
    }

    test("tell what the host and the agents have said, and what they say from then on", async () => {
      expect(await client.call("agents.logs", { params: { space: "default", name: "js" } })).toMatchObject({
        stdout: "",
        timestamp: null,
      });
      await send("print first");
      const lines = await text(`sessions/${id}/logs`);
      expect(lines).toMatch(/^\[host\] .*host ready/m);
      expect(lines).toMatch(/^\[js\/stdout\] printed first$/m);
      expect(lines).toMatch(/^\[js\/stderr\] complained first$/m);
      const leaving = new AbortController();
      const seen: string[] = [];
      for await (const { line, source } of follow(`sessions/${id}/logs?follow=true`, leaving.signal)) {
        if (source === "host") continue;
        seen.push(`${source} ${line}`);
        if (line === "complained first") void send("print second");
        if (line === "complained second") break;
      }
      expect(seen.filter((line) => line.includes("printed"))).toEqual([
        "js/stdout printed first",
        "js/stdout printed second",
      ]);
      leaving.abort();
    });

    test("of an agent are those of its newest message", async () => {
      await send("print third");
      const params = { space: "default", name: "js" };
      const all = await client.call("agents.logs", { params });
      expect(all).toMatchObject({ agent_name: "js", space: "default", stderr: "complained third\n" });
      expect(all.stdout).toContain("printed third\n");
      expect(all.stdout).not.toContain("second");
      expect(Date.parse(all.timestamp ?? "")).toBeGreaterThan(Date.now() - 60_000);
      const some = await client.call("agents.logs", {
        params,
        query: { lines: 1, log_type: "stderr", session_id: id },
      });
      expect(some).toMatchObject({ stdout: "", stderr: "complained third\n" });
      const leaving = new AbortController();
      const path = `spaces/default/agents/js/logs?follow=true&log_type=stderr`;
      let answered: Promise<unknown> | undefined;
      for await (const { line, stream } of follow(path, leaving.signal)) {
        expect(stream).toBe("stderr");
        if (line === "complained third") answered = send("print fourth");
        if (line === "complained fourth") break;
      }
      leaving.abort();
      await answered;
    });

    test("usage is what the computer uses and the messages have used, and asking wakes nothing", async () => {
      const usage = () => client.call("sessions.usage", { params: { id } });
      const before = await usage();
      expect(before).toMatchObject({ messages: 8, tokens: { input: 0, output: 0 }, cost: 0 });
      expect(before.memory_bytes).toBeGreaterThan(5_000_000);
      await client.files(id).write("workspace/some", Buffer.alloc(20_000_000, 1));
      const body = { command: "end=$(($(date +%s)+1)); while [ $(date +%s) -le $end ]; do :; done; sync" };
      await client.call("sessions.exec", { params: { id }, body });
      const after = await usage();
      expect(after.cpu_seconds - before.cpu_seconds).toBeGreaterThan(0.3);
      expect((after.disk_bytes ?? 0) - (before.disk_bytes ?? 0)).toBeGreaterThan(15_000_000);
      await client.call("sessions.pause", { params: { id } });
      expect(await usage()).toMatchObject({ cpu_seconds: 0, memory_bytes: 0, disk_bytes: null, messages: 8 });
      expect((await client.call("sessions.get", { params: { id } })).state).toBe("paused");
    });
  });
}
