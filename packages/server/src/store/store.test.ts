import { afterEach, beforeEach, expect, it } from "vitest";
import { describeDatabases } from "../../../../test/support/databases.ts";
import type { DatabaseAddress } from "../config.ts";
import type { Scope } from "../domain/access-scope.ts";
import { findAgent, insertAgent } from "./agents.ts";
import { appendEvents, listEvents } from "./events.ts";
import {
  deleteEndedMessages,
  findMessage,
  insertMessage,
  listMessages,
  readHistory,
  readHistorySince,
  updateMessage,
} from "./messages.ts";
import { findSession, getSession, insertSession, listSessions, updateSession } from "./sessions.ts";
import { ensureInstance } from "./settings.ts";
import { ensureDefaultSpace, findSpace } from "./spaces.ts";
import { openStore, type Store } from "./store.ts";

describeDatabases("store", (databases) => {
  let address: DatabaseAddress;
  let store: Store;

  beforeEach(async () => {
    address = await databases.prepare();
    store = await openStore(address);
  });

  afterEach(() => store.close());

  async function newSession(): Promise<string> {
    return store.write(async (transaction) => {
      const space = await ensureDefaultSpace(transaction);
      const session = await insertSession(transaction, {
        spaceId: space.id,
        name: null,
        createdBy: "admin",
        ownerId: "owner",
        buildId: null,
        limits: { cpus: 1, memory_mb: 512, disk_mb: 512, pids: 64 },
        network: { mode: "none" },
        metadata: { purpose: "test" },
      });
      return session.id;
    });
  }

  const message = (sessionId: string, content: string) => ({
    sessionId,
    role: "user" as const,
    agent: null,
    inReplyTo: null,
    content,
    metadata: {},
    status: "queued" as const,
  });

  it("keeps what was written when it is opened again", async () => {
    const instance = await store.write(ensureInstance);
    const id = await newSession();
    await store.close();
    store = await openStore(address);
    expect(await store.write(ensureInstance)).toBe(instance);
    expect(await findSession(store.read, id)).toMatchObject({ metadata: { purpose: "test" }, space_name: "default" });
  });

  it("shows readers nothing before the commit", async () => {
    const id = await newSession();
    await store.write(async (transaction) => {
      await insertMessage(transaction, message(id, "hello"));
      expect(await listMessages(store.read, { sessionId: id, limit: 10 })).toHaveLength(0);
    });
    expect(await listMessages(store.read, { sessionId: id, limit: 10 })).toHaveLength(1);
  });

  it("undoes only the work that throws of those that share a commit", async () => {
    const id = await newSession();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) =>
        store.write(async (transaction) => {
          await insertMessage(transaction, message(id, `message ${index}`));
          if (index % 5 === 0) throw new Error("no");
        }),
      ),
    );
    expect(outcomes.filter(({ status }) => status === "rejected")).toHaveLength(4);
    const messages = await listMessages(store.read, { sessionId: id, limit: 100 });
    expect(messages.map(({ seq }) => seq)).toEqual(Array.from({ length: 16 }, (_, index) => index + 1));
  });

  it("numbers events without gaps when many write at once", async () => {
    const id = await newSession();
    await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        store.write((transaction) =>
          appendEvents(transaction, id, [
            { type: "message.delta", data: { text: `${index}` } },
            { type: "message.delta", data: { text: `${index}+` } },
          ]),
        ),
      ),
    );
    const events = await listEvents(store.read, id, 0, 1000);
    expect(events.map((event) => event.id)).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
  });

  it("pages a list without loss or repetition", async () => {
    const ids = new Set<string>();
    for (let index = 0; index < 7; index += 1) ids.add(await newSession());
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await listSessions(store.read, { limit: 3, cursor, deleted: false, scope: [{}] });
      seen.push(...page.items.map(({ id }) => id));
      cursor = page.next;
    } while (cursor !== undefined);
    expect(seen).toHaveLength(7);
    expect(new Set(seen)).toEqual(ids);
    await expect(listSessions(store.read, { limit: 3, cursor: "junk", deleted: false, scope: [{}] })).rejects.toThrow(
      "cursor",
    );
  });

  it("lists only what the caller may see", async () => {
    const id = await newSession();
    const spaceId = (await findSession(store.read, id))?.space_id ?? "";
    const count = async (scope: Scope) =>
      (await listSessions(store.read, { limit: 10, deleted: false, scope })).items.length;
    expect(await count([])).toBe(0);
    expect(await count([{}])).toBe(1);
    expect(await count([{ spaceId }])).toBe(1);
    expect(await count([{ spaceId: "other" }])).toBe(0);
    expect(await count([{ spaceId, ownerId: "owner" }])).toBe(1);
    expect(await count([{ spaceId, ownerId: "other" }])).toBe(0);
    expect(await count([{ names: [] }])).toBe(0);
    expect(await count([{ names: [id] }, { spaceId: "other" }])).toBe(1);
  });

  it("gives the newest history that fits, whole messages only", async () => {
    const id = await newSession();
    for (let index = 1; index <= 120; index += 1) {
      await store.write((transaction) => insertMessage(transaction, message(id, `message ${index}`)));
    }
    const history = await readHistory(store.read, id, 121);
    expect(history).toHaveLength(100);
    expect(history.at(0)?.content).toBe("message 21");
    expect(history.at(-1)?.content).toBe("message 120");
    await store.write((transaction) => insertMessage(transaction, message(id, "x".repeat(255 * 1024))));
    const cut = await readHistory(store.read, id, 122);
    expect(cut.at(-1)?.content).toHaveLength(255 * 1024);
    expect(cut.length).toBeLessThan(101);
    expect(cut.length).toBeGreaterThan(50);
  });

  it("gives what has come to a history since an entry, unless that is gone or it is much", async () => {
    const id = await newSession();
    for (let index = 1; index <= 20; index += 1) {
      await store.write((transaction) =>
        insertMessage(transaction, { ...message(id, `message ${index}`), status: "done" }),
      );
    }
    const since = (after: number, before: number) => readHistorySince(store.read, id, after, before);
    expect((await since(17, 20))?.map(({ seq }) => seq)).toEqual([18, 19]);
    expect(await since(20, 21)).toEqual([]);
    expect(await since(2, 20)).toBeUndefined();
    await store.write((transaction) => insertMessage(transaction, message(id, "x".repeat(300 * 1024))));
    expect(await since(20, 22)).toBeUndefined();
    await store.write((transaction) => deleteEndedMessages(transaction, id));
    expect(await since(20, 22)).toBeUndefined();
  });

  it("numbers messages without gaps when many are posted at once", async () => {
    const id = await newSession();
    await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        store.write(async (transaction) => {
          const session = await getSession(transaction, id);
          await insertMessage(transaction, message(id, `message ${index}`));
          await appendEvents(transaction, id, [{ type: "message.created", data: {} }]);
          await updateSession(transaction, id, { metadata: { count: Number(session.metadata["count"] ?? 0) + 1 } });
        }),
      ),
    );
    const messages = await listMessages(store.read, { sessionId: id, limit: 100 });
    expect(messages.map(({ seq }) => seq)).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
    const session = await getSession(store.read, id);
    // What a transaction has read of the session was still so when it wrote: no update is lost.
    expect(session.metadata).toEqual({ count: 40 });
    expect(session.last_event_id).toBe(40);
  });

  it("lets one of many that decide upon the same message win", async () => {
    const id = await newSession();
    const { id: messageId } = await store.write((transaction) => insertMessage(transaction, message(id, "hello")));
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, () =>
        store.write(async (transaction) => {
          const current = await findMessage(transaction, messageId);
          if (current?.status !== "queued") return false;
          // As those that end a message do, with the session locked last: the other way round elsewhere.
          await updateMessage(transaction, messageId, { status: "running" });
          await getSession(transaction, id);
          return true;
        }),
      ).concat(
        Array.from({ length: 20 }, () =>
          store.write(async (transaction) => {
            await getSession(transaction, id);
            const current = await findMessage(transaction, messageId);
            if (current?.status !== "queued") return false;
            await updateMessage(transaction, messageId, { status: "running" });
            return true;
          }),
        ),
      ),
    );
    expect(outcomes.filter((won) => won)).toHaveLength(1);
  });

  it("makes what is looked for and missing once when many look at once", async () => {
    const spaces = await Promise.all(Array.from({ length: 20 }, () => store.write(ensureDefaultSpace)));
    expect(new Set(spaces.map(({ id }) => id)).size).toBe(1);
    const instances = await Promise.all(Array.from({ length: 20 }, () => store.write(ensureInstance)));
    expect(new Set(instances).size).toBe(1);
  });

  it("hands on what work throws, and writes nothing of it", async () => {
    const id = await newSession();
    const failing = store.write(async (transaction) => {
      await insertMessage(transaction, message(id, "never"));
      throw new TypeError("no");
    });
    await expect(failing).rejects.toThrow(TypeError);
    expect(await listMessages(store.read, { sessionId: id, limit: 10 })).toEqual([]);
    expect((await getSession(store.read, id)).last_seq).toBe(0);
  });

  it("compares names by byte", async () => {
    const names = ["agent", "Agent", "agent ", "agént", "agent\u0301"];
    const agent = { description: "", purpose: "", source_repo: "a/b", source_branch: null, source_path: null };
    const space = await store.write(ensureDefaultSpace);
    for (const name of names) {
      await store.write((transaction) => insertAgent(transaction, space.id, "admin", { ...agent, name }));
    }
    for (const name of names) expect((await findAgent(store.read, space.id, name))?.name).toBe(name);
    expect(await findSpace(store.read, "DEFAULT")).toBeUndefined();
    expect(await findSpace(store.read, "default ")).toBeUndefined();
  });

  it("keeps any text as it is", async () => {
    const id = await newSession();
    const texts = [
      "🦀 𝒳 ",
      "'; drop table messages; -- \\' \\\" \\",
      "\u0000\u001a\b\n\r\t%_",
      "  padded  ",
      "",
      '{"json": ["\\u0000"]}',
    ];
    for (const text of texts) {
      await store.write((transaction) =>
        insertMessage(transaction, { ...message(id, text), metadata: { text, nested: { list: [text] } } }),
      );
    }
    const messages = await listMessages(store.read, { sessionId: id, limit: 10 });
    expect(messages.map(({ content }) => content)).toEqual(texts);
    expect(messages.map(({ metadata }) => metadata)).toEqual(texts.map((text) => ({ text, nested: { list: [text] } })));
  });

  it("takes a reply of 4 MiB in which each character must be escaped", async () => {
    const id = await newSession();
    const content = "\u0000".repeat(4 * 1024 * 1024);
    await store.write(async (transaction) => {
      const reply = await insertMessage(transaction, message(id, content));
      await appendEvents(transaction, id, [{ type: "message.end", data: { reply } }]);
    });
    const [kept] = await listMessages(store.read, { sessionId: id, limit: 1 });
    expect(kept?.content === content).toBe(true);
    const [event] = await listEvents(store.read, id, 0, 1);
    expect(JSON.stringify(event?.data["reply"]) === JSON.stringify(kept)).toBe(true);
  });

  it("takes more events at once than one statement has room for", async () => {
    const id = await newSession();
    const event = { type: "message.delta" as const, data: { text: "x" } };
    await store.write((transaction) =>
      appendEvents(
        transaction,
        id,
        Array.from({ length: 20_000 }, () => event),
      ),
    );
    expect((await listEvents(store.read, id, 19_990, 100)).map((each) => each.id)).toHaveLength(10);
  });

  it("answers when it is asked whether it is well, and closes once", async () => {
    await store.check(5000);
    await Promise.all([store.close(), store.close()]);
    await expect(store.write(ensureInstance)).rejects.toThrow("closed");
  });
});
