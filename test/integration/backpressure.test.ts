import { readFileSync } from "node:fs";
import { Agent, type IncomingMessage, request } from "node:http";
import { API_BASE } from "@raworc/contract";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ATTACK_AGENTS } from "../support/attack-agents.ts";
import { deployAgents } from "../support/deploy.ts";
import { Repository } from "../support/repository.ts";
import { describeWith } from "../support/requirements.ts";
import { type Client, TestServer } from "../support/test-server.ts";

const PIECES = 100_000;
const OUTPUT_BYTES = 200_000_000;
const STREAMS = 2000;
/** Of the server's process, whatever is asked of it here. What is sent in these tests is more than that. */
const MEMORY_MAX_MB = 450;

interface Told {
  readonly id: number;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** The events of a stream as they come. Leaving them ends the stream. */
async function* eventsOf(stream: IncomingMessage): AsyncGenerator<Told> {
  let text = "";
  for await (const chunk of stream.setEncoding("utf8")) {
    text += chunk;
    const events = text.split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) {
      const data = /^data: (.*)$/m.exec(event)?.[1];
      if (data !== undefined) yield JSON.parse(data) as Told;
    }
  }
}

describeWith(["sandbox"], "slow readers and floods", () => {
  const agent = new Agent({ keepAlive: false, maxSockets: Number.POSITIVE_INFINITY });
  let repository: Repository;
  let server: TestServer;
  let client: Client;
  let token: string;
  let busy: string;
  let other: string;

  beforeAll(async () => {
    repository = new Repository(ATTACK_AGENTS);
    server = await TestServer.start({ runtime: "sandbox" });
    client = await server.client();
    token = (await client.call("auth.login", { body: { user: "admin", pass: "admin" } })).token;
    await deployAgents(client, repository.path, { attacker: "attacker", flood: "flood" });
    busy = (await client.call("sessions.create", { body: { wait: "ready" } })).id;
    other = (await client.call("sessions.create", { body: { wait: "ready" } })).id;
  });

  afterAll(async () => {
    agent.destroy();
    await server?.destroy();
    repository?.remove();
  });

  /** The most that the server's process has held in memory up to now. */
  function peakMegabytes(): number {
    const status = readFileSync(`/proc/${server.pid}/status`, "utf8");
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
  }

  /** A stream of which nothing is read until the caller does. */
  function stream(method: string, path: string, body?: object): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const call = request(`${server.url}${API_BASE}${path}`, {
        agent,
        method,
        headers: {
          accept: "text/event-stream",
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
      });
      call.on("response", (answer) => {
        answer.on("error", () => undefined);
        if (answer.statusCode === 200) resolve(answer);
        else reject(new Error(`${method} ${path}: ${answer.statusCode}`));
      });
      call.on("error", reject);
      call.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  async function othersAreAnswered(): Promise<void> {
    const body = { content: "nothing", agent: "attacker", wait: "reply" } as const;
    const answer = await client.call("messages.create", { params: { id: other }, body });
    expect(answer).toMatchObject({ reply: { content: "did nothing" } });
  }

  test("an agent that floods is read as fast as its pieces are kept, and who reads slowly sees all of them", async () => {
    const slow = await stream("GET", `/sessions/${busy}/events`);
    const body = { content: String(PIECES), agent: "flood", wait: "reply" } as const;
    const flood = client.call("messages.create", { params: { id: busy }, body });
    await othersAreAnswered();
    const whole = Array.from({ length: PIECES }, (_, number) => `${number}\n`).join("");
    const answer = await flood;
    if (!("reply" in answer)) throw new Error("The answer holds no reply");
    expect(answer.reply?.content === whole, "the reply is whole").toBe(true);
    expect(peakMegabytes()).toBeLessThan(MEMORY_MAX_MB);
    let last = 0;
    let pieces = "";
    for await (const { id, type, data } of eventsOf(slow)) {
      if (id !== last + 1) throw new Error(`Event ${id} came after ${last}`);
      last = id;
      if (type === "message.delta") pieces += data["text"];
      if (type === "message.end") break;
    }
    expect(pieces === whole, "all pieces were streamed").toBe(true);
  });

  test("a command's output waits for its reader, outside of the server", async () => {
    const command = `yes 0123456789 | head -c ${OUTPUT_BYTES}`;
    const slow = await stream("POST", `/sessions/${busy}/exec`, { command, timeout_s: 120 });
    await othersAreAnswered();
    const { stdout, truncated } = await client.call("sessions.exec", { params: { id: other }, body: { command } });
    expect([stdout.length, truncated]).toEqual([10 * 1024 * 1024, true]);
    expect(peakMegabytes()).toBeLessThan(MEMORY_MAX_MB);
    let length = 0;
    for await (const { data } of eventsOf(slow)) if (typeof data["data"] === "string") length += data["data"].length;
    expect(length).toBe(OUTPUT_BYTES);
    expect(peakMegabytes()).toBeLessThan(MEMORY_MAX_MB);
  });

  test("thousands of idle streams cost little, and each hears of what happens", async () => {
    const before = (await client.call("events.list", { params: { id: other }, query: { limit: 1000 } })).length;
    const streams: IncomingMessage[] = [];
    while (streams.length < STREAMS) {
      const batch = Array.from({ length: 50 }, () => stream("GET", `/sessions/${other}/events?after=${before}`));
      streams.push(...(await Promise.all(batch)));
    }
    const told = streams.map(async (each) => {
      for await (const chunk of each.setEncoding("utf8")) if (String(chunk).includes("message.end")) return;
      throw new Error("A stream ended");
    });
    await othersAreAnswered();
    await Promise.all(told);
    expect(peakMegabytes()).toBeLessThan(MEMORY_MAX_MB);
    for (const each of streams) each.destroy();
    await othersAreAnswered();
  });
});
