import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SessionEvent } from "@raworc/contract";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { insertSession } from "../store/sessions.ts";
import { ensureDefaultSpace } from "../store/spaces.ts";
import { openStore, type Store } from "../store/store.ts";
import { SessionLog } from "./session-log.ts";
import { Wakeups } from "./wakeups.ts";

let directory: string;
let store: Store;
let sessionLog: SessionLog;
let sessionId: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "raworc-log-"));
  store = await openStore({ kind: "sqlite", path: join(directory, "raworc.db") });
  sessionLog = new SessionLog(store, new Wakeups());
  sessionId = await store.write(async (transaction) => {
    const space = await ensureDefaultSpace(transaction);
    const limits = { cpus: 1, memory_mb: 512, disk_mb: 512, pids: 64 };
    const owner = { createdBy: "admin", ownerId: "owner", buildId: null, name: null };
    const session = { spaceId: space.id, ...owner, limits, network: { mode: "none" as const }, metadata: {} };
    return (await insertSession(transaction, session)).id;
  });
});

afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true });
});

const write = (text: string) =>
  sessionLog.write((_, append) => append(sessionId, [{ type: "message.delta", data: { text } }]));

async function take(count: number, after: number, each?: (event: SessionEvent) => Promise<void>): Promise<number[]> {
  const abort = new AbortController();
  const ids: number[] = [];
  for await (const event of sessionLog.follow(sessionId, after, abort.signal)) {
    ids.push(event.id);
    await each?.(event);
    if (ids.length === count) break;
  }
  return ids;
}

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe("SessionLog", () => {
  it("gives a follower what is there, then what comes, once each", async () => {
    for (let index = 0; index < 5; index += 1) await write(`${index}`);
    const following = take(25, 2);
    for (let index = 0; index < 22; index += 1) await write(`${index}`);
    expect(await following).toEqual(numbers(3, 27));
  });

  it("loses and repeats nothing for followers that start at any moment", async () => {
    const writers = numbers(1, 40).map((index) => write(`${index}`));
    const followers = numbers(1, 10).map(async (index) => {
      await new Promise((resolve) => setTimeout(resolve, index));
      return take(40, 0);
    });
    await Promise.all(writers);
    for (const ids of await Promise.all(followers)) expect(ids).toEqual(numbers(1, 40));
  });

  it("lets a follower fall far behind without loss", async () => {
    let first = true;
    const following = take(3000, 0, async () => {
      if (!first) return;
      first = false;
      await Promise.all(numbers(1, 3000).map((index) => write(`${index}`)));
    });
    await write("0");
    expect(await following).toEqual(numbers(1, 3000));
  });

  it("tells nobody of events whose transaction fails", async () => {
    const following = take(1, 0);
    const failing = sessionLog.write(async (_, append) => {
      await append(sessionId, [{ type: "error", data: {} }]);
      throw new Error("no");
    });
    await expect(failing).rejects.toThrow("no");
    await write("kept");
    expect(await following).toEqual([1]);
  });

  it("ends a follower with its signal", async () => {
    const abort = new AbortController();
    const following = (async () => {
      let count = 0;
      for await (const _ of sessionLog.follow(sessionId, 0, abort.signal)) count += 1;
      return count;
    })();
    await write("one");
    abort.abort();
    expect(await following).toBeLessThanOrEqual(1);
  });
});
