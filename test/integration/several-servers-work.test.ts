import type { Message, Session, SessionEvent } from "@raworc/contract";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ancestorsOf, computersOf } from "../support/computers.ts";
import { describeDatabases } from "../support/databases.ts";
import { buildEnd, deployAgents } from "../support/deploy.ts";
import { PROBE_AGENTS } from "../support/probe-agents.ts";
import { Repository } from "../support/repository.ts";
import { describeWith } from "../support/requirements.ts";
import { type Client, TestServer } from "../support/test-server.ts";

const SLOW = JSON.stringify({ runtime: "node", build_command: "echo begun; sleep 600" });
const QUICK = JSON.stringify({ runtime: "node" });

describeDatabases("two whole servers", (databases) => {
  describeWith(["sandbox"], "in sandboxes", () => {
    let repository: Repository;
    let one: TestServer;
    let two: TestServer;
    let atOne: Client;
    let atTwo: Client;

    beforeAll(async () => {
      repository = new Repository({
        ...PROBE_AGENTS,
        "slow/raworc.json": SLOW,
        "slow/index.js": "exports.processMessage = (message) => message;",
        "slow/package.json": "{}",
      });
      const address = await databases.create();
      const environment = address.kind === "mysql" ? { DATABASE_URL: address.url } : {};
      one = await TestServer.start({ runtime: "sandbox", environment });
      two = await one.startPeer();
      [atOne, atTwo] = [await one.client(), await two.client()];
      await deployAgents(atOne, repository.path, { js: "node" });
    });

    afterAll(async () => {
      await two?.leave();
      await one?.destroy();
      repository.remove();
    });

    const open = (at: Client, space = "default"): Promise<Session> =>
      at.call("sessions.create", { body: { space, wait: "ready" } });
    const get = (at: Client, id: string) => at.call("sessions.get", { params: { id } });
    const remove = (at: Client, id: string) => at.call("sessions.delete", { params: { id } });
    const computers = () => computersOf("sandbox", one);

    async function send(at: Client, id: string, content: string): Promise<Message> {
      const message = await at.call("messages.create", { params: { id }, body: { content } });
      if (!("id" in message)) throw new Error("No message was made");
      return message;
    }

    async function ask(at: Client, id: string, content: string): Promise<string | undefined> {
      const answer = await at.call("messages.create", { params: { id }, body: { content, wait: "reply" } });
      return "message" in answer ? answer.reply?.content : undefined;
    }

    async function sh(at: Client, id: string, command: string): Promise<string> {
      return (await at.call("sessions.exec", { params: { id }, body: { command } })).stdout.trim();
    }

    /** What the proxy says to a way that it refuses; nothing else answers where it is not served. */
    const wayOut = (at: Client, id: string) =>
      sh(
        at,
        id,
        `node -e 'fetch("http://10.1.2.3/").then(({ status }) => console.log(status), () => console.log("none"))'`,
      );

    /** Follows a session at a server until a condition holds; gives all events up to then. */
    async function follow(at: Client, id: string, until: (event: SessionEvent) => boolean): Promise<SessionEvent[]> {
      const events: SessionEvent[] = [];
      for await (const event of at.events(id, { after: 0 })) {
        events.push(event);
        if (until(event)) break;
      }
      return events;
    }

    const isOf = (type: SessionEvent["type"], message: Message) => (event: SessionEvent) =>
      event.type === type && event.data["message_id"] === message.id;

    /** The one end of a message, as one server's log tells it. */
    async function endOf(at: Client, message: Message) {
      await follow(at, message.session_id, isOf("message.end", message));
      const events = await at.call("events.list", { params: { id: message.session_id }, query: { limit: 1000 } });
      expect(events.map(({ id }) => id)).toEqual(events.map((_, index) => index + 1));
      const ends = events.filter(isOf("message.end", message));
      expect(ends).toHaveLength(1);
      return ends[0]?.data as { status: string; reply: Message | null };
    }

    test("answer messages once and in order, whichever server takes them", async () => {
      const { id } = await open(atOne);
      const messages: Message[] = [];
      for (let number = 0; number < 12; number += 1) {
        messages.push(await send(number % 2 === 0 ? atOne : atTwo, id, "count"));
      }
      const replies = [];
      for (const message of messages) replies.push((await endOf(atTwo, message)).reply?.content);
      expect(replies).toEqual(messages.map((_, index) => String(index + 1)));
      await remove(atTwo, id);
    });

    test("show at one what goes on at the other, as it goes on", async () => {
      const { id } = await open(atOne);
      let running: Promise<Message[]> | undefined;
      const following = follow(atTwo, id, (event) => {
        if (event.type === "message.delta") {
          running ??= atTwo.call("messages.list", { params: { id }, query: {} });
        }
        return event.type === "message.end";
      });
      await send(atOne, id, "stream 40");
      const events = await following;
      expect(events.map((event) => event.id)).toEqual(events.map((_, index) => index + 1));
      expect((await running)?.map(({ status }) => status)).toEqual(["running"]);
      await remove(atOne, id);
    });

    test("serve each other's sessions: commands, limits, pause, cancel, forks, deletion", async () => {
      const { id } = await open(atOne);
      await sh(atTwo, id, "echo kept > note");
      expect(await sh(atOne, id, "cat note")).toBe("kept");
      const limits = { memory_mb: 512 };
      expect(await atTwo.call("sessions.update", { params: { id }, body: { limits } })).toMatchObject({ limits });

      const message = await send(atTwo, id, "sleep 60");
      await follow(atTwo, id, isOf("message.start", message));
      await atTwo.call("sessions.cancel", { params: { id } });
      expect(await endOf(atTwo, message)).toMatchObject({ status: "cancelled" });

      const fork = await atTwo.call("sessions.fork", { params: { id }, body: {} });
      expect(fork.state).toBe("idle");
      expect(await sh(atTwo, fork.id, "cat note")).toBe("kept");

      expect(await atTwo.call("sessions.pause", { params: { id } })).toMatchObject({ state: "paused" });
      await expect(sh(atTwo, id, "true")).rejects.toMatchObject({ status: 409 });
      expect(await atTwo.call("sessions.resume", { params: { id } })).toMatchObject({ state: "idle" });
      expect(await sh(atTwo, id, "cat note")).toBe("kept");

      const busy = await send(atOne, id, "sleep 0.5");
      await follow(atTwo, id, isOf("message.start", busy));
      expect(await atTwo.call("sessions.pause", { params: { id } })).toMatchObject({ state: "paused" });
      expect(await endOf(atTwo, busy)).toMatchObject({ status: "done" });

      await Promise.all([remove(atTwo, id), remove(atOne, fork.id)]);
      await expect.poll(computers, { timeout: 30_000 }).toEqual([]);
    });

    test("keep a computer awake while the other server uses it", async () => {
      await atTwo.call("spaces.create", { body: { name: "drowsy", settings: { idle: { freeze_after_s: 1 } } } });
      const { id } = await open(atOne, "drowsy");
      // Frozen in its middle it would not end.
      expect(await sh(atTwo, id, "sleep 2; echo awake")).toBe("awake");
      await expect.poll(async () => (await get(atTwo, id)).tier, { timeout: 30_000 }).toBe("frozen");
      expect(await sh(atTwo, id, "echo woken")).toBe("woken");
      await atTwo.call("spaces.delete", { params: { space: "drowsy" }, query: { force: true } });
      expect(computers()).toEqual([]);
    });

    test("fill a pool once, and hand each of its computers out once", async () => {
      const ready = () => `${one.log()}${two.log()}`.split("a computer waits in the pool").length - 1;
      await atTwo.call("spaces.create", { body: { name: "warm", settings: { warm_pool: 2 } } });
      await expect.poll(ready, { timeout: 30_000 }).toBe(2);
      const warm = computers().toSorted();
      expect(warm).toHaveLength(2);
      const create = (at: Client) => at.call("sessions.create", { body: { space: "warm" } });
      const sessions = await Promise.all([create(atOne), create(atTwo)]);
      expect(sessions.map(({ state }) => state)).toEqual(["idle", "idle"]);
      expect(sessions.map(({ id }) => id).toSorted()).toEqual(warm);
      for (const { id } of sessions) expect(await sh(atTwo, id, "echo $RAWORC_SESSION_ID")).toBe(id);
      await expect.poll(ready, { timeout: 30_000 }).toBe(4);
      expect(computers()).toHaveLength(4);
      await atOne.call("spaces.delete", { params: { space: "warm" }, query: { force: true } });
      expect(computers()).toEqual([]);
    });

    // Where a server that is alone sends no heartbeats, there is most to go wrong.
    const testOnSqlite = test.skipIf(databases.kind !== "sqlite");
    testOnSqlite("take over from one that hangs, which works on with the rest when it wakes up", async () => {
      await atTwo.call("spaces.create", { body: { name: "brief", settings: { idle: { freeze_after_s: 1 } } } });
      const other = await open(atTwo, "brief");
      const using = sh(atOne, other.id, "sleep 2; echo awake");
      const { id } = await open(atOne);
      const running = await send(atOne, id, "count 1");
      await follow(atTwo, id, isOf("message.start", running));
      // Not in the middle of a transaction, which would keep SQLite's only lock.
      await new Promise((resolve) => setTimeout(resolve, 300));
      process.kill(one.pid, "SIGSTOP");
      try {
        expect(await endOf(atTwo, running)).toMatchObject({ status: "done", reply: { content: "1" } });
        expect(await ask(atTwo, id, "count")).toBe("2");
        // Whoever kept it awake has gone.
        await expect.poll(async () => (await get(atTwo, other.id)).tier, { timeout: 30_000 }).toBe("frozen");
      } finally {
        process.kill(one.pid, "SIGCONT");
      }
      expect(await using).toBe("awake");
      expect(await ask(atOne, id, "count")).toBe("3");
      expect(await sh(atOne, id, "sort counter | uniq -d; echo once")).toBe("once");
      expect(await endOf(atOne, running)).toMatchObject({ status: "done" });
      await remove(atOne, id);
      await atOne.call("spaces.delete", { params: { space: "brief" }, query: { force: true } });
      await expect.poll(computers, { timeout: 30_000 }).toEqual([]);
    });

    test("take over from one that is killed, and leave each other's computers alone", async () => {
      await atOne.call("spaces.create", { body: { name: "slow" } });
      const source = { name: "slow", source_repo: repository.path, source_path: "slow" };
      await atOne.call("agents.create", { params: { space: "slow" }, body: source });
      const build = await atOne.call("builds.create", { params: { space: "slow" }, body: {} });
      for await (const { line } of atTwo.buildLog("slow", build.build_id)) if (line.includes("begun")) break;
      // The build is run again from its beginning, and finds this.
      repository.commit({ "slow/raworc.json": QUICK });
      const [builder = ""] = computers();
      const dying = ancestorsOf(one, builder).includes(one.pid) ? one : two;
      const [atDying, atOther] = dying === one ? [atOne, atTwo] : [atTwo, atOne];

      const mine = await open(atOther);
      const { id } = await open(atDying);
      const instance = await ask(atDying, id, "instance");
      const running = await send(atDying, id, "count 1");
      await follow(atOther, id, isOf("message.start", running));
      const waiting = await send(atDying, id, "count");
      const created = await atDying.call("sessions.create", { body: {} });
      await dying.kill();

      expect(await endOf(atOther, running)).toMatchObject({ status: "done", reply: { content: "1" } });
      expect(await endOf(atOther, waiting)).toMatchObject({ status: "done", reply: { content: "2" } });
      expect(await ask(atOther, id, "instance")).toBe(instance);
      expect(await sh(atOther, id, "echo usable")).toBe("usable");
      expect(await wayOut(atOther, id)).toBe("403");
      expect(await ask(atOther, created.id, "echo made")).toBe("made");
      expect(await buildEnd(atOther, build.build_id, "slow")).toMatchObject({ status: "completed" });
      // The builder that was at work went with its server.
      const sessions = [mine.id, id, created.id].toSorted();
      await expect.poll(() => computers().toSorted(), { timeout: 30_000 }).toEqual(sessions);

      await dying.start();
      expect(computers().toSorted()).toEqual(sessions);
      expect(await ask(await dying.client(), id, "instance")).toBe(instance);
      await dying.kill();
      expect(await wayOut(atOther, id)).toBe("403");
      for (const session of sessions) await remove(atOther, session);
      await expect.poll(computers, { timeout: 30_000 }).toEqual([]);
    });
  });
});
