import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RaworcError } from "@raworc/contract";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { RequestSeal } from "../security/request-seal.ts";
import { openStore, type Store } from "../store/store.ts";
import { Idempotency, idempotencyKeyOf, type KeyedCall } from "./idempotency.ts";
import type { KeyedRequest } from "./keyed-request.ts";

const CALL: KeyedCall = {
  key: "key-1",
  principalId: "me",
  route: "spaces.create",
  params: {},
  query: {},
  body: { name: "home", pass: "canary" },
  status: 201,
};
const ANSWER = { status: 201, headers: { etag: '"1"' }, body: '{"name":"home","secret":"canary"}' };

let directory: string;
let store: Store;
let alive: Set<string>;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "raworc-keys-"));
  store = await openStore({ kind: "sqlite", path: join(directory, "raworc.db") });
  alive = new Set(["one", "two"]);
});
afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true });
});

const server = (id: string, keptMs?: number) =>
  new Idempotency({
    store,
    seal: new RequestSeal(Buffer.alloc(32, 1)),
    serverId: () => id,
    isAlive: async (other) => alive.has(other),
    ...(keptMs === undefined ? {} : { keptMs }),
  });

async function first(idempotency: Idempotency, call = CALL): Promise<KeyedRequest> {
  const beginning = await idempotency.begin(call);
  if (beginning.kind !== "first") throw new Error(`It is ${beginning.kind}`);
  return beginning.request;
}

/** What the audited store does around a change. */
async function change(request: KeyedRequest, work: () => void = () => undefined): Promise<void> {
  await store.write(async (transaction) => {
    await request.before(transaction);
    work();
    await request.after(transaction);
  });
  request.committed(true);
}

const refusal = (code: string) => expect.objectContaining({ code });

describe("one server", () => {
  test("gives the first answer again, to the same request alone", async () => {
    const keys = server("one");
    const request = await first(keys);
    await expect(keys.begin(CALL)).rejects.toEqual(refusal("idempotency_conflict"));
    await expect(keys.begin({ ...CALL, body: {} })).rejects.toEqual(refusal("idempotency_mismatch"));
    await change(request);
    await request.kept(ANSWER);
    expect(await keys.begin(CALL)).toEqual({ kind: "again", answer: ANSWER });
    await expect(keys.begin({ ...CALL, body: { name: "other" } })).rejects.toEqual(refusal("idempotency_mismatch"));
    await expect(keys.begin({ ...CALL, query: { move_to: "x" } })).rejects.toEqual(refusal("idempotency_mismatch"));
    for (const other of [
      { principalId: "you" },
      { route: "roles.create" },
      { params: { id: "1" } },
      { key: "key-2" },
    ]) {
      expect(await keys.begin({ ...CALL, ...other })).toMatchObject({ kind: "first" });
    }
  });

  test("keeps no refusal, and no failure from before the change", async () => {
    const keys = server("one");
    await (await first(keys)).failed(new Error("before anything was done"));
    const refused = await first(keys);
    await store.write((transaction) => refused.before(transaction));
    refused.committed(false);
    await refused.failed(new RaworcError("wrong_state", "not now"));
    expect(await keys.begin(CALL)).toMatchObject({ kind: "first" });
  });

  test("does nothing again when a change is there and its end is unknown", async () => {
    const keys = server("one");
    const request = await first(keys);
    await change(request, () => request.foresee({ name: "home" }, false));
    await request.failed(new RaworcError("draining", "stopping"));
    const answer = { status: 201, headers: {}, body: '{"name":"home"}' };
    expect(await keys.begin(CALL)).toMatchObject({ kind: "unfinished", answer });

    const streamed = await first(keys, { ...CALL, key: "stream" });
    await change(streamed);
    await streamed.sent();
    expect(await keys.begin({ ...CALL, key: "stream" })).toMatchObject({ kind: "unfinished", answer: undefined });
  });

  test("forgets after its time, and sweeps", async () => {
    const kept = await first(server("one"));
    await change(kept);
    await kept.kept(ANSWER);
    // Of which nothing is older than a day.
    await server("one").sweep();
    expect(await server("one").begin(CALL)).toMatchObject({ kind: "again" });

    const soon = server("one", -1000);
    const again = await first(soon);
    await change(again);
    await again.kept(ANSWER);
    await soon.sweep();
    expect(await server("one").begin(CALL)).toMatchObject({ kind: "first" });
  });

  test("the database holds neither what was asked nor what was answered", async () => {
    const request = await first(server("one"));
    await change(request);
    await request.kept(ANSWER);
    const rows = await store.read.selectFrom("idempotency_keys").selectAll().execute();
    expect(rows).toHaveLength(1);
    expect(JSON.stringify(rows)).not.toMatch(/canary|key-1|home/);
  });
});

describe("several servers", () => {
  test("one key is taken by one of them, whoever is first", async () => {
    const [one, two] = [await first(server("one")), await first(server("two"))];
    await change(one);
    await expect(change(two)).rejects.toEqual(refusal("idempotency_conflict"));
    await two.failed(new RaworcError("idempotency_conflict", ""));
    await expect(server("two").begin(CALL)).rejects.toEqual(refusal("idempotency_conflict"));
    await one.kept(ANSWER);
    expect(await server("two").begin(CALL)).toEqual({ kind: "again", answer: ANSWER });
  });

  test("the key of a server that died goes on elsewhere, with what was foreseen", async () => {
    const request = await first(server("one"));
    await change(request, () => request.foresee({ state: "init" }, false));
    alive.delete("one");
    const taken = await server("two").begin(CALL);
    expect(taken).toMatchObject({ kind: "unfinished", answer: { status: 201, body: '{"state":"init"}' } });
    if (taken.kind === "unfinished") await taken.request.kept(ANSWER);
    expect(await server("one").begin(CALL)).toEqual({ kind: "again", answer: ANSWER });
  });

  test("an answer that is final is written with the change, so no crash can come between", async () => {
    const request = await first(server("one"));
    await change(request, () => request.foresee({ name: "home" }, true));
    expect(await server("two").begin(CALL)).toMatchObject({ kind: "again", answer: { body: '{"name":"home"}' } });
  });

  test("a transaction that is rolled back takes the key with it", async () => {
    const request = await first(server("one"));
    const failure = new Error("rolled back");
    const fail = () => {
      throw failure;
    };
    await expect(change(request, fail)).rejects.toBe(failure);
    await request.failed(failure);
    expect(await server("two").begin(CALL)).toMatchObject({ kind: "first" });
  });
});

test.each(["", "a b", "ä", "x".repeat(256), "a\n"])("%j is no key", (text) => {
  expect(() => idempotencyKeyOf(text)).toThrow(refusal("validation_failed"));
});
test("a header may be left out", () => expect(idempotencyKeyOf(undefined)).toBeUndefined());
