import type { Message } from "@raworc/contract";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DatabaseServer } from "../support/database-server.ts";
import { deployAgents } from "../support/deploy.ts";
import { PROBE_AGENTS } from "../support/probe-agents.ts";
import { Repository } from "../support/repository.ts";
import { describeWith } from "../support/requirements.ts";
import { type Client, TestServer } from "../support/test-server.ts";

describeWith(["mariadb", "sandbox"], "a server whose database is killed and started again", () => {
  let repository: Repository;
  let database: DatabaseServer;
  let server: TestServer;
  let client: Client;

  beforeAll(async () => {
    repository = new Repository(PROBE_AGENTS);
    database = await DatabaseServer.start();
    const environment = { DATABASE_URL: await database.database() };
    server = await TestServer.start({ runtime: "sandbox", environment });
    client = await server.client();
    await deployAgents(client, repository.path, { js: "node" });
  });

  afterAll(async () => {
    await server?.destroy();
    await database?.destroy();
    repository?.remove();
  });

  const send = async (id: string, content: string): Promise<Message> => {
    const message = await client.call("messages.create", { params: { id }, body: { content } });
    if (!("id" in message)) throw new Error("No message was made");
    return message;
  };
  const statusOf = async (path: string): Promise<number> => (await fetch(`${server.url}/api/v0${path}`)).status;

  test("refuses meanwhile, loses nothing that it accepted, and does nothing twice", async () => {
    const open = () => client.call("sessions.create", { body: { wait: "ready" } });
    const sessions = await Promise.all([open(), open(), open()]);
    const accepted: Message[] = [];
    const refusals: unknown[] = [];
    const refused = new Set<string>();
    const phase = { sending: true };
    const senders = sessions.map(async ({ id }) => {
      while (phase.sending) {
        try {
          accepted.push(await send(id, accepted.length % 2 === 0 ? "count" : "stream 3"));
        } catch (error) {
          refusals.push(error);
          refused.add(id);
        }
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
    });
    const long = await Promise.all(sessions.map(({ id }) => send(id, "stream 60")));
    accepted.push(...long);
    for (let round = 0; round < 2; round += 1) {
      const goal = accepted.length + 10;
      await expect.poll(() => accepted.length, { timeout: 60_000 }).toBeGreaterThan(goal);
      await database.kill();
      refused.clear();
      // Nobody's request waits for the database to come back.
      await expect.poll(() => refused.size, { timeout: 20_000 }).toBe(sessions.length);
      expect(await statusOf("/health")).toBe(503);
      await database.start();
    }
    const goal = accepted.length + 10;
    await expect.poll(() => accepted.length, { timeout: 60_000 }).toBeGreaterThan(goal);
    phase.sending = false;
    await Promise.all(senders);
    expect(refusals.filter((error) => (error as { status?: number }).status !== 503)).toEqual([]);
    expect(await statusOf("/health")).toBe(200);

    for (const { id } of sessions) {
      const last = await send(id, "echo last");
      const ends = new Map<unknown, number>();
      let before = 0;
      for await (const event of client.events(id, { after: 0 })) {
        expect(event.id).toBe(before + 1);
        before = event.id;
        if (event.type !== "message.end") continue;
        const messageId = event.data["message_id"];
        ends.set(messageId, (ends.get(messageId) ?? 0) + 1);
        expect(event.data["status"]).toBe("done");
        if (messageId === last.id) break;
      }
      const mine = accepted.filter(({ session_id }) => session_id === id);
      expect(mine.filter((message) => ends.get(message.id) !== 1)).toEqual([]);
      // An agent counts its messages by their ids: none of them came to it twice.
      const { stdout } = await client.call("sessions.exec", {
        params: { id },
        body: { command: "sort counter | uniq -d" },
      });
      expect(stdout).toBe("");
      expect(await client.call("sessions.get", { params: { id } })).toMatchObject({ state: "idle" });
    }
  });
});
