import type { Session } from "@raworc/contract";
import { afterAll, beforeAll, expect, test } from "vitest";
import { computersOf } from "../support/computers.ts";
import { deployAgents } from "../support/deploy.ts";
import { PROBE_AGENTS } from "../support/probe-agents.ts";
import { Repository } from "../support/repository.ts";
import { describeWith } from "../support/requirements.ts";
import { type Client, TestServer } from "../support/test-server.ts";

for (const runtime of ["sandbox", "docker"] as const) {
  describeWith([runtime], `the life of a session on ${runtime}`, () => {
    let repository: Repository;
    let server: TestServer;
    let client: Client;

    beforeAll(async () => {
      repository = new Repository(PROBE_AGENTS);
      server = await TestServer.start({ runtime });
      client = await server.client();
      await deployAgents(client, repository.path, { js: "node" });
    });

    afterAll(async () => {
      await server.destroy();
      repository.remove();
    });

    const open = (): Promise<Session> => client.call("sessions.create", { body: { wait: "ready" } });
    const get = (id: string) => client.call("sessions.get", { params: { id } });

    async function ask(id: string, content: string) {
      const answer = await client.call("messages.create", { params: { id }, body: { content, wait: "reply" } });
      if (!("message" in answer)) throw new Error("The answer holds no reply");
      return answer;
    }

    async function sh(id: string, command: string): Promise<string> {
      const answer = await client.call("sessions.exec", { params: { id }, body: { command } });
      return answer.stdout.trim();
    }

    test("a pause stops the computer and keeps files; wrong transitions are 409", async () => {
      const { id } = await open();
      await sh(id, "echo kept > note");
      const instance = (await ask(id, "instance")).reply?.content;
      expect(await client.call("sessions.pause", { params: { id } })).toMatchObject({ state: "paused" });
      for (const call of ["sessions.pause", "sessions.exec"] as const) {
        const body = { command: "true" };
        await expect(client.call(call, { params: { id }, body } as never)).rejects.toMatchObject({ status: 409 });
      }
      expect(await client.call("sessions.resume", { params: { id } })).toMatchObject({ state: "idle" });
      await expect(client.call("sessions.resume", { params: { id } })).rejects.toMatchObject({ status: 409 });
      expect(await sh(id, "cat note")).toBe("kept");
      expect((await ask(id, "instance")).reply?.content).not.toBe(instance);
      const events = await client.call("events.list", { params: { id }, query: { limit: 1000 } });
      expect(events.filter(({ type }) => type === "message.start")).toHaveLength(2);
      await client.call("sessions.delete", { params: { id } });
    });

    test("a message resumes a paused session; a busy one is paused after its message", async () => {
      const { id } = await open();
      await client.call("sessions.pause", { params: { id } });
      expect((await ask(id, "echo awake")).reply?.content).toBe("awake");
      const running = ask(id, "sleep 1");
      for await (const event of client.events(id, { after: 0 })) {
        if (event.type === "session.state" && event.data["state"] === "busy" && event.id > 8) break;
      }
      const queued = await client.call("messages.create", { params: { id }, body: { content: "echo later" } });
      expect(await client.call("sessions.pause", { params: { id } })).toMatchObject({ state: "paused" });
      expect(await running).toMatchObject({ message: { status: "done" }, reply: { content: "slept" } });
      const messages = await client.call("messages.list", { params: { id }, query: {} });
      expect(messages.find((message) => "id" in queued && message.id === queued.id)?.status).toBe("queued");
      await client.call("sessions.resume", { params: { id } });
      for await (const event of client.events(id, { after: 0 })) {
        if (event.type === "message.end" && "id" in queued && event.data["message_id"] === queued.id) break;
      }
      await client.call("sessions.delete", { params: { id } });
    });

    test("a fork has the files and history of that moment, and goes its own way", async () => {
      const parent = await open();
      const first = await ask(parent.id, "count");
      await ask(parent.id, "count");
      await sh(parent.id, "echo parent > whose");
      const params = { id: parent.id };
      const fork = await client.call("sessions.fork", {
        params,
        body: { name: "branch", from_message: first.message.id },
      });
      expect(fork).toMatchObject({ parent_session_id: parent.id, name: "branch", state: "idle" });
      const messages = await client.call("messages.list", { params: { id: fork.id }, query: {} });
      expect(messages.map(({ role, content }) => [role, content])).toEqual([
        ["user", "count"],
        ["agent", "1"],
      ]);
      expect(messages[0]?.id).not.toBe(first.message.id);
      expect(messages[1]?.in_reply_to).toBe(messages[0]?.id);
      expect(await sh(fork.id, "cat whose")).toBe("parent");
      await sh(fork.id, "echo fork > whose");
      expect(await sh(parent.id, "cat whose")).toBe("parent");
      expect((await ask(fork.id, "count")).reply?.content).toBe("3");
      expect((await ask(parent.id, "count")).reply?.content).toBe("3");
      for (const id of [parent.id, fork.id]) await client.call("sessions.delete", { params: { id } });
    });

    test("an idle session is frozen, then stopped, then deleted, and any use wakes it", async () => {
      const space = "resting";
      const idle = { freeze_after_s: 1, stop_after_s: 3, delete_after_s: 6 };
      await client.call("spaces.create", { body: { name: space, settings: { idle } } });
      const session = await client.call("sessions.create", { body: { space, wait: "ready" } });
      const { id } = session;
      // By its words: after a start another process may have its number.
      await sh(id, "sleep 61.25 > /dev/null 2>&1 &");
      const runs = () => sh(id, "grep -aqs '61[.]25' /proc/[0-9]*/cmdline && echo alive || echo gone");
      await expect.poll(async () => (await get(id)).tier, { timeout: 20_000 }).toBe("frozen");
      expect((await get(id)).state).toBe("idle");
      expect(await runs()).toBe("alive");
      expect((await get(id)).tier).toBe("active");
      await expect.poll(async () => (await get(id)).tier, { timeout: 20_000 }).toBe("stopped");
      expect(await runs()).toBe("gone");
      const gone = async () =>
        (await client.call("sessions.get", { params: { id }, query: { deleted: "true" } })).state;
      await expect.poll(gone, { timeout: 30_000 }).toBe("deleted");
      await expect.poll(() => computersOf(runtime, server).includes(id), { timeout: 20_000 }).toBe(false);
    });

    test("a session from the warm pool has its own identity; the pool fills again and survives a restart", async () => {
      await client.call("spaces.update", { params: { space: "default" }, body: { settings: { warm_pool: 1 } } });
      const pooled = async () => {
        const live = (await client.call("sessions.list", { query: {} })).map(({ id }) => id);
        return computersOf(runtime, server).filter((id) => !live.includes(id));
      };
      const waits = (id: string) =>
        server
          .log()
          .split("\n")
          .some((line) => line.includes("waits in the pool") && line.includes(id));
      const full = () => expect.poll(async () => (await pooled()).filter(waits), { timeout: 30_000 }).toHaveLength(1);
      await full();
      await server.kill();
      await server.start();
      const [waiting] = await pooled();
      await full();
      const session = await client.call("sessions.create", { body: { name: "warm" } });
      expect(session).toMatchObject({ id: waiting, state: "idle", name: "warm" });
      expect(await sh(session.id, "echo $RAWORC_SESSION_ID")).toBe(session.id);
      expect((await ask(session.id, "echo hello")).reply?.content).toBe("hello");
      await full();
      // With other limits than the pool's: they are changed on the running computer.
      const other = await client.call("sessions.create", { body: { limits: { memory_mb: 256 } } });
      expect(other).toMatchObject({ state: "idle", limits: { memory_mb: 256 } });
      expect(other.id).not.toBe(session.id);
      const { build_id } = await client.call("builds.create", { params: { space: "default" }, body: {} });
      for await (const _ of client.buildLog("default", build_id));
      await expect.poll(async () => (await open()).build_id, { timeout: 30_000 }).toBe(build_id);
      await client.call("spaces.update", { params: { space: "default" }, body: { settings: { warm_pool: 0 } } });
      await expect.poll(pooled, { timeout: 30_000 }).toEqual([]);
    });
  });
}
