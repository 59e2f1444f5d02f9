import type { Message, Session } from "@raworc/contract";
import { afterAll, beforeAll, expect, test } from "vitest";
import { computersOf, killComputer } from "../support/computers.ts";
import { deployAgents } from "../support/deploy.ts";
import { PROBE_AGENTS } from "../support/probe-agents.ts";
import { Repository } from "../support/repository.ts";
import { describeWith } from "../support/requirements.ts";
import { type Client, TestServer } from "../support/test-server.ts";

for (const runtime of ["sandbox", "docker"] as const) {
  describeWith([runtime, "python"], `a server that is killed, on ${runtime}`, () => {
    let repository: Repository;
    let server: TestServer;
    let client: Client;
    let session: Session;

    beforeAll(async () => {
      repository = new Repository(PROBE_AGENTS);
      server = await TestServer.start({ runtime });
      client = await server.client();
      await deployAgents(client, repository.path, { py: "python", js: "node" });
      session = await client.call("sessions.create", { body: { wait: "ready" } });
    });

    afterAll(async () => {
      await server.destroy();
      repository.remove();
    });

    async function send(content: string, id = session.id): Promise<Message> {
      const message = await client.call("messages.create", { params: { id }, body: { content } });
      if (!("id" in message)) throw new Error("No message was made");
      return message;
    }

    /** Waits for the one end of a message, and checks that the log holds no second one. */
    async function endOf(message: Message) {
      const ends: unknown[] = [];
      for await (const event of client.events(message.session_id, { after: 0 })) {
        if (event.type === "message.end" && event.data["message_id"] === message.id) ends.push(event.data);
        if (ends.length > 0) break;
      }
      const events = await client.call("events.list", { params: { id: message.session_id }, query: { limit: 1000 } });
      const all = events.filter(({ type, data }) => type === "message.end" && data["message_id"] === message.id);
      expect(all).toHaveLength(1);
      return all[0]?.data as { status: string; reply: Message | null; error?: { code: string } };
    }

    async function started(message: Message): Promise<void> {
      for await (const event of client.events(message.session_id, { after: 0 })) {
        if (event.type === "message.start" && event.data["message_id"] === message.id) return;
      }
    }

    test("a message that ran is answered by the same worker, once", async () => {
      const before = await endOf(await send("@py instance"));
      const message = await send("@py count 1.5");
      await started(message);
      await server.kill();
      await server.start();
      expect(await endOf(message)).toMatchObject({ status: "done", reply: { content: "1" } });
      expect((await endOf(await send("@py instance"))).reply?.content).toBe(before.reply?.content);
      expect((await endOf(await send("@py count"))).reply?.content).toBe("2");
    });

    test("a stream that was cut goes on without a gap", async () => {
      const message = await send("@js stream 60");
      for await (const event of client.events(session.id, { after: 0 })) {
        if (event.type === "message.delta" && event.data["message_id"] === message.id) break;
      }
      await server.kill();
      await server.start();
      const { reply } = await endOf(message);
      expect(reply?.content).toBe(Array.from({ length: 60 }, (_, number) => `piece ${number}\n`).join(""));
      const events = await client.call("events.list", { params: { id: session.id }, query: { limit: 1000 } });
      expect(events.map(({ id }) => id)).toEqual(events.map((_, index) => index + 1));
      const deltas = events.filter(({ type, data }) => type === "message.delta" && data["message_id"] === message.id);
      expect(deltas.map(({ data }) => data["text"]).join("")).toBe(reply?.content);
    });

    test("every accepted message has its end, in order", async () => {
      const messages: Message[] = [];
      for (let number = 0; number < 5; number += 1) messages.push(await send(`@js count 0.1`));
      await server.kill();
      await server.start();
      const replies = [];
      for (const message of messages) replies.push((await endOf(message)).reply?.content);
      const first = Number(replies[0]);
      expect(replies).toEqual(messages.map((_, index) => String(first + index)));
    });

    test("a computer that is killed in the middle fails the one message; the session goes on", async () => {
      const message = await send("@py sleep 2.5");
      const waiting = await send("@py echo after");
      await started(message);
      await killComputer(runtime, server, session.id);
      expect(await endOf(message)).toMatchObject({ status: "failed", error: { code: "agent_died" } });
      expect(await endOf(waiting)).toMatchObject({ status: "done", reply: { content: "after" } });
      expect((await endOf(await send("@py count"))).reply?.content).toMatch(/^\d+$/);
    });

    test("creations and deletions are finished by the next server, and nothing is left over", async () => {
      const created = await client.call("sessions.create", { body: {} });
      await server.kill();
      await server.start();
      const reply = await endOf(await send("@js echo here", created.id));
      expect(reply.reply?.content).toBe("here");
      await client.call("sessions.delete", { params: { id: created.id } });
      await server.kill();
      await server.start();
      await expect.poll(() => computersOf(runtime, server), { timeout: 30_000 }).toEqual([session.id]);
    });

    test("an orderly stop leaves computers running, and ends with 0", async () => {
      const before = await endOf(await send("@js instance"));
      expect(await server.stop()).toBe(0);
      expect(await computersOf(runtime, server)).toEqual([session.id]);
      await server.start();
      expect((await endOf(await send("@js instance"))).reply?.content).toBe(before.reply?.content);
    });
  });
}
