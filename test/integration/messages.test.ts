import type { Session } from "@raworc/contract";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deployAgents } from "../support/deploy.ts";
import { PROBE_AGENTS } from "../support/probe-agents.ts";
import { Repository } from "../support/repository.ts";
import { describeWith } from "../support/requirements.ts";
import { type Client, TestServer } from "../support/test-server.ts";

for (const runtime of ["sandbox", "docker"] as const) {
  describeWith([runtime, "python"], `messages on ${runtime}`, () => {
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

    async function ask(agent: string, content: string) {
      const answer = await client.call("messages.create", {
        params: { id: session.id },
        body: { content, agent, wait: "reply" },
      });
      if (!("message" in answer)) throw new Error("The answer holds no reply");
      return answer;
    }

    test("a session with a build is ready and idle", () => {
      expect(session).toMatchObject({ state: "idle", tier: "active", space: "default", error: null });
      expect(session.build_id).not.toBeNull();
    });

    describe.each(["py", "js"])("agent %s", (agent) => {
      test("replies, and keeps its prints out of the reply", async () => {
        const { message, reply } = await ask(agent, "print hello");
        expect(message).toMatchObject({ status: "done", agent, error: null });
        expect(reply).toMatchObject({ role: "agent", content: "quiet", in_reply_to: message.id, agent });
        expect(reply?.metadata).toMatchObject({ agent });
        expect(String(reply?.metadata["log_file"])).toMatch(
          new RegExp(`^logs/${agent}_\\d{8}_\\d{6}_\\d{3}_stdout\\.log$`),
        );
      });

      test("gives what is no text as JSON, and nothing as an empty reply", async () => {
        expect(JSON.parse((await ask(agent, "object")).reply?.content ?? "")).toEqual({ answer: 42 });
        expect((await ask(agent, "nothing")).reply?.content).toBe("");
      });

      test("streams pieces, and a stream is resumed after any event without gap or repetition", async () => {
        const { message, reply } = await ask(agent, "stream 10");
        expect(reply?.content).toBe(Array.from({ length: 10 }, (_, number) => `piece ${number}\n`).join(""));
        const events = await client.call("events.list", { params: { id: session.id }, query: { limit: 1000 } });
        expect(events.map(({ id }) => id)).toEqual(events.map((_, index) => index + 1));
        const deltas = events.filter(({ type, data }) => type === "message.delta" && data["message_id"] === message.id);
        expect(deltas.length).toBeGreaterThan(1);
        expect(deltas.map(({ data }) => data["text"]).join("")).toBe(reply?.content);

        const middle = deltas[Math.floor(deltas.length / 2)]?.id ?? 0;
        const stop = new AbortController();
        const seen: number[] = [];
        for await (const event of client.events(session.id, { after: middle, signal: stop.signal })) {
          seen.push(event.id);
          if (event.id === events.at(-1)?.id) break;
        }
        stop.abort();
        expect(seen).toEqual(events.filter(({ id }) => id > middle).map(({ id }) => id));
      });

      test("gets the same history as is recorded, also when its computer has begun anew or messages were deleted", async () => {
        const { id } = await client.call("sessions.create", { body: { wait: "ready" } });
        const say = (content: string, to = agent) =>
          client.call("messages.create", { params: { id }, body: { content, agent: to, wait: "reply" } });
        const history = async () => {
          const answer = await say("context");
          if (!("reply" in answer)) throw new Error("The answer holds no reply");
          const { history: told } = JSON.parse(answer.reply?.content ?? "") as { history: unknown };
          const messages = await client.call("messages.list", { params: { id }, query: { limit: 100 } });
          const before = messages.filter(({ seq }) => seq < answer.message.seq);
          return { told, recorded: before.slice(-100).map(({ role, content }) => ({ role, content })) };
        };
        const agree = async () => {
          const { recorded, told } = await history();
          expect(told).toEqual(recorded);
        };
        await agree();
        for (const content of ["echo 1", "echo 2", "throw it"]) await say(content);
        await say("echo of the other", agent === "py" ? "js" : "py");
        await agree();
        await agree();
        await client.call("sessions.pause", { params: { id } });
        await say("echo again");
        await agree();
        await client.call("messages.delete", { params: { id } });
        await say("echo after all");
        await agree();
        await client.call("sessions.delete", { params: { id } });
      });

      test("knows its session, the message and what came before", async () => {
        await ask(agent, "echo first");
        const { message, reply } = await ask(agent, "context");
        const context = JSON.parse(reply?.content ?? "{}");
        expect(context).toMatchObject({ session_id: session.id, space: "default", agent, message_id: message.id });
        expect(context.history.at(-1)).toEqual({ role: "agent", content: "first" });
        expect((await ask(agent, "env FLAVOUR")).reply?.content).toBe("vanilla");
        expect((await ask(agent, "env RAWORC_SESSION_ID")).reply?.content).toBe(session.id);
        expect((await ask(agent, "env RAWORC_JWT_SECRET")).reply?.content).toBe("");
      });

      test("a raised error fails the message, names the error and its log", async () => {
        const { message, reply } = await ask(agent, "throw stone");
        expect(message).toMatchObject({ status: "failed", error: { code: "handler_failed" } });
        expect(message.error?.message).toContain("no such thing: stone");
        expect(message.error?.log).toMatch(/^logs\/.*_stderr\.log$/);
        expect(reply).toMatchObject({ role: "system" });
      });

      test("an exit, a kill and a hang each fail the one message, and the next is answered", async () => {
        expect((await ask(agent, "exit")).message.error?.code).toBe("agent_exited");
        expect((await ask(agent, "vanish")).message.error?.code).toBe("agent_died");
        expect((await ask(agent, "sleep 30")).message.error?.code).toBe("agent_timeout");
        expect((await ask(agent, "echo again")).reply?.content).toBe("again");
      });

      test("100 MB are cut to 4 MiB, and whole in a file", async () => {
        const { message, reply } = await ask(agent, "big 100000000");
        expect(message.status).toBe("done");
        expect(reply?.content.length).toBe(4 * 1024 * 1024);
        expect(reply?.metadata).toMatchObject({ truncated: true });
        expect(String(reply?.metadata["reply_file"])).toMatch(/^logs\//);
      });

      test("a running message is cancelled", async () => {
        const before = await client.call("events.list", { params: { id: session.id }, query: { limit: 1000 } });
        const last = before.at(-1)?.id ?? 0;
        const sent = client.call("messages.create", {
          params: { id: session.id },
          body: { content: "sleep 2.5", agent, wait: "reply" },
        });
        for await (const event of client.events(session.id, { after: last })) {
          if (event.type === "message.start") break;
        }
        await client.call("sessions.cancel", { params: { id: session.id } });
        expect(await sent).toMatchObject({ message: { status: "cancelled" }, reply: null });
        await expect(client.call("sessions.cancel", { params: { id: session.id } })).rejects.toMatchObject({
          status: 409,
          code: "wrong_state",
        });
      });
    });

    test("messages of one session are handled in order, one at a time", async () => {
      const sent: string[] = [];
      for (const word of ["one", "two", "three"]) {
        const message = await client.call("messages.create", {
          params: { id: session.id },
          body: { content: `@js echo ${word}` },
        });
        if ("id" in message) sent.push(message.id);
      }
      await ask("py", "echo last");
      const messages = await client.call("messages.list", { params: { id: session.id }, query: { limit: 8 } });
      const replies = messages.filter(({ role }) => role === "agent").map(({ content }) => content);
      expect(replies.slice(-4)).toEqual(["one", "two", "three", "last"]);
      expect(sent).toHaveLength(3);
    });

    test("who answers: a mention, an unknown mention as plain text, or advice", async () => {
      const say = (body: object) =>
        client.call("messages.create", { params: { id: session.id }, body: { content: "", ...body, wait: "reply" } });
      expect(await say({ content: "@py echo hi" })).toMatchObject({ reply: { content: "hi", agent: "py" } });
      const advice = await say({ content: "@nobody hi" });
      expect(advice).toMatchObject({ message: { status: "done" }, reply: { role: "system" } });
      await expect(say({ content: "hi", agent: "nobody" })).rejects.toMatchObject({ status: 422 });
      await expect(say({ content: "hi", role: "agent" })).rejects.toMatchObject({ status: 403 });
      await expect(say({ content: "x".repeat(1024 * 1024 + 1) })).rejects.toMatchObject({ status: 413 });
    });
  });
}
