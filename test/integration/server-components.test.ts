import type { Health } from "@raworc/contract";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ancestorsOf, computersOf } from "../support/computers.ts";
import { describeDatabases } from "../support/databases.ts";
import { deployAgents } from "../support/deploy.ts";
import { PROBE_AGENTS } from "../support/probe-agents.ts";
import { Repository } from "../support/repository.ts";
import { describeWith } from "../support/requirements.ts";
import { type Client, TestServer } from "../support/test-server.ts";

describeDatabases("a server and an operator, each a process of its own", (databases) => {
  describeWith(["sandbox"], "in sandboxes", () => {
    let repository: Repository;
    let server: TestServer;
    let operator: TestServer;
    let client: Client;

    beforeAll(async () => {
      repository = new Repository(PROBE_AGENTS);
      const address = await databases.create();
      const environment = {
        RAWORC_COMPONENTS: "server",
        ...(address.kind === "mysql" ? { DATABASE_URL: address.url } : {}),
      };
      server = await TestServer.start({ runtime: "sandbox", environment });
      client = await server.client();
    });

    afterAll(async () => {
      await operator?.leave();
      await server?.destroy();
      repository.remove();
    });

    const health = async () => (await (await client.raw("health")).json()) as Health;
    const sh = async (id: string, command: string) =>
      (await client.call("sessions.exec", { params: { id }, body: { command } })).stdout.trim();
    async function ask(id: string, content: string): Promise<string | undefined> {
      const answer = await client.call("messages.create", { params: { id }, body: { content, wait: "reply" } });
      return "message" in answer ? answer.reply?.content : undefined;
    }

    test("what needs the operator waits for one, or is refused with what to do", async () => {
      expect(await health()).toMatchObject({ status: "down", checks: { database: "ok", operator: "down" } });
      const { id } = await client.call("sessions.create", { body: { space: "default" } });
      await expect(sh(id, "true")).rejects.toMatchObject({
        code: "not_ready",
        message: expect.stringContaining("raworc start operator"),
      });
      expect(computersOf("sandbox", server)).toEqual([]);

      // It listens on no port: this one is taken.
      operator = await server.startPeer({ RAWORC_COMPONENTS: "operator", RAWORC_PORT: new URL(server.url).port });
      await expect.poll(health, { timeout: 10_000 }).toMatchObject({ status: "ok", checks: { operator: "ok" } });
      await expect.poll(() => computersOf("sandbox", server), { timeout: 30_000 }).toEqual([id]);
      await client.call("sessions.delete", { params: { id } });
      await expect.poll(() => computersOf("sandbox", server), { timeout: 30_000 }).toEqual([]);
    });

    test("the operator drives what the server takes, also from a pool", async () => {
      await deployAgents(client, repository.path, { js: "node" });
      const { id } = await client.call("sessions.create", { body: { space: "default", wait: "ready" } });
      expect(ancestorsOf(server, id)).toContain(operator.pid);
      expect(await ask(id, "count")).toBe("1");
      expect(await sh(id, "echo $RAWORC_SESSION_ID")).toBe(id);

      await client.call("spaces.update", { params: { space: "default" }, body: { settings: { warm_pool: 1 } } });
      await await expect.poll(() => operator.log(), { timeout: 30_000 }).toContain("a computer waits in the pool");
      const warm = await client.call("sessions.create", { body: { space: "default" } });
      expect(warm.state).toBe("idle");
      expect(await ask(warm.id, "count")).toBe("1");
      await client.call("spaces.update", { params: { space: "default" }, body: { settings: { warm_pool: 0 } } });
      await client.call("sessions.delete", { params: { id: warm.id } });
      expect(await client.call("sessions.pause", { params: { id } })).toMatchObject({ state: "paused" });
      expect(await ask(id, "count")).toBe("2");
    });

    test("each is killed, and the other goes on", async () => {
      const { id } = await client.call("sessions.create", { body: { space: "default", wait: "ready" } });
      const running = await client.call("messages.create", { params: { id }, body: { content: "count 1" } });
      await server.kill();
      await server.start();
      client = await server.client();
      await operator.kill();
      const waiting = await client.call("messages.create", { params: { id }, body: { content: "count" } });
      await expect.poll(health, { timeout: 10_000 }).toMatchObject({ checks: { operator: "down" } });
      await operator.start();
      const replies = async () =>
        (await client.call("messages.list", { params: { id }, query: {} }))
          .filter(({ role }) => role !== "user")
          .map(({ content, in_reply_to }) => [in_reply_to, content]);
      const expected = [running, waiting].map((message, index) => ["id" in message && message.id, String(index + 1)]);
      await expect.poll(replies, { timeout: 30_000 }).toEqual(expected);
      await client.call("sessions.delete", { params: { id } });
    });
  });
});
