import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Scope } from "../domain/access-scope.ts";
import { appendEvents, listEvents } from "./events.ts";
import { insertMessage, listMessages, readHistory } from "./messages.ts";
import { findSession, insertSession, listSessions } from "./sessions.ts";
import { ensureInstance } from "./settings.ts";
import { ensureDefaultSpace } from "./spaces.ts";
import { openStore, type Store } from "./store.ts";

let directory: string;
let store: Store;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "raworc-store-"));
  store = await openStore(join(directory, "raworc.db"));
});

afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true });
});

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

describe("store", () => {
  it("keeps what was written when it is opened again", async () => {
    const instance = await store.write(ensureInstance);
    const id = await newSession();
    await store.close();
    store = await openStore(join(directory, "raworc.db"));
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
});
