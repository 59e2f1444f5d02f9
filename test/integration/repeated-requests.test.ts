import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { API_BASE } from "@raworc/contract";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ControlPlane, openControlPlane } from "../support/control-plane.ts";
import { describeDatabases } from "../support/databases.ts";
import { deployAgents } from "../support/deploy.ts";
import { PROBE_AGENTS } from "../support/probe-agents.ts";
import { Repository } from "../support/repository.ts";
import { describeWith } from "../support/requirements.ts";
import { TestServer } from "../support/test-server.ts";

let keys = 0;
const newKey = (): string => {
  keys += 1;
  return `key-${keys}`;
};

describeDatabases("repeated requests", (databases) => {
  let plane: ControlPlane;
  let token: string;
  beforeAll(async () => {
    plane = await openControlPlane({ database: await databases.prepare() });
    token = await plane.login("admin", "admin");
    await post("/spaces", { name: "home", settings: { auto_build: false } });
    await post("/spaces/home/agents", { name: "old", source_repo: "a/b" });
  });
  afterAll(() => plane.close());

  const post = (path: string, body: object | undefined, key?: string) =>
    plane.call("POST", path, {
      token,
      ...(body === undefined ? {} : { body }),
      ...(key === undefined ? {} : { headers: { "idempotency-key": key } }),
    });
  const list = async (path: string) => (await plane.call("GET", path, { token })).json<unknown[]>();

  test.each<[string, object | undefined]>([
    ["/spaces", { name: "once" }],
    ["/service-accounts", { user: "once", pass: "a long password" }],
    ["/roles", { name: "once", rules: [] }],
    ["/role-bindings", { role_name: "viewer", principal: "operator", space: "home" }],
    ["/spaces/home/secrets", { key_name: "ONCE", value: "canary-5b1" }],
    ["/spaces/home/agents", { name: "once", source_repo: "a/b" }],
    ["/spaces/home/agents/old/deploy", undefined],
    ["/spaces/home/agents/old/stop", undefined],
    ["/spaces/home/build", { force_rebuild: true }],
    ["/sessions", { space: "home", name: "once" }],
  ])("POST %s is done once for each key", async (path, body) => {
    const key = newKey();
    const first = await post(path, body, key);
    expect(first.statusCode, first.body).toBeLessThan(300);
    const before = await list("/audit-events?limit=1000");
    const again = await post(path, body, key);
    expect([again.statusCode, again.body, again.headers.etag]).toEqual([
      first.statusCode,
      first.body,
      first.headers.etag,
    ]);
    expect(again.headers["idempotency-replayed"]).toBe("true");
    expect(first.headers["idempotency-replayed"]).toBeUndefined();
    expect(await list("/audit-events?limit=1000")).toHaveLength(before.length);
    const other = await post(path, { ...body, description: "other" }, key);
    // Where the body takes nothing else, that is told first.
    expect(other.json()).toMatchObject({
      status: 422,
      code: expect.stringMatching(/^(idempotency_mismatch|validation_failed)$/),
    });
  });

  test("another body is a mismatch, another key another request", async () => {
    const key = newKey();
    const first = await post("/sessions", { space: "home" }, key);
    const other = await post("/sessions", { space: "home", name: "other" }, key);
    expect(other.json()).toMatchObject({ status: 422, code: "idempotency_mismatch" });
    const next = await post("/sessions", { space: "home" }, newKey());
    expect(next.json()).not.toMatchObject({ id: first.json<{ id: string }>().id });
    for (const bad of ["", "two words"]) {
      expect((await post("/sessions", { space: "home" }, bad)).statusCode).toBe(422);
    }
  });

  test("refusals are not kept", async () => {
    const key = newKey();
    const body = { name: "late", source_repo: "a/b" };
    expect((await post("/spaces/later/agents", body, key)).statusCode).toBe(404);
    await post("/spaces", { name: "later", settings: { auto_build: false } });
    expect((await post("/spaces/later/agents", body, key)).statusCode).toBe(201);
    expect((await post("/spaces/later/agents", body, newKey())).statusCode).toBe(409);
  });

  test("each principal has keys of his own, and a lost right is lost for repeated requests too", async () => {
    await post("/service-accounts", { user: "maker", pass: "maker" });
    const role = { role_name: "admin", principal: "maker", space: null };
    const binding = (await post("/role-bindings", role)).json<{ id: string }>();
    const maker = await plane.login("maker", "maker");
    const headers = { "idempotency-key": newKey() };
    const call = (by: string) => plane.call("POST", "/sessions", { token: by, headers, body: { space: "home" } });
    const [mine, his] = [await call(token), await call(maker)];
    expect(mine.statusCode).toBe(201);
    expect(mine.json()).not.toEqual(his.json());
    expect((await call(maker)).body).toBe(his.body);
    await plane.call("DELETE", `/role-bindings/${binding.id}`, { token });
    expect((await call(maker)).statusCode).toBe(404);
  });

  test("of many at the same time one is done", async () => {
    const key = newKey();
    const before = (await list("/sessions?limit=1000")).length;
    const answers = await Promise.all(Array.from({ length: 30 }, () => post("/sessions", { space: "home" }, key)));
    const made = answers.filter(({ statusCode }) => statusCode === 201);
    const waiting = answers.filter(({ statusCode }) => statusCode === 409);
    expect(made.length + waiting.length).toBe(30);
    expect(new Set(made.map(({ body }) => body)).size).toBe(1);
    for (const answer of waiting) expect(answer.json()).toMatchObject({ code: "idempotency_conflict" });
    for (const answer of waiting) expect(answer.headers["retry-after"]).toBe("1");
    expect((await list("/sessions?limit=1000")).length).toBe(before + 1);
    expect((await post("/sessions", { space: "home" }, key)).body).toBe(made[0]?.body);
  });
});

describe("a server that is started again", () => {
  test("still gives the first answer, and shows no secret in its database", async () => {
    const directory = await mkdtemp(join(tmpdir(), "raworc-keys-"));
    const key = newKey();
    const request = { headers: { "idempotency-key": key }, body: { key_name: "NEW", value: "canary-93c" } };
    const post = async () => {
      const plane = await openControlPlane({ directory, serverId: newKey() });
      try {
        const token = await plane.login("admin", "admin");
        const answer = await plane.call("POST", "/spaces/default/secrets", { token, ...request });
        const rows = await plane.plainStore.read.selectFrom("idempotency_keys").selectAll().execute();
        return { status: answer.statusCode, body: answer.body, rows: JSON.stringify(rows) };
      } finally {
        await plane.close();
      }
    };
    const first = await post();
    expect(first.status).toBe(201);
    expect(await post()).toEqual(first);
    expect(first.rows).not.toMatch(/canary-93c|NEW/);
    await rm(directory, { recursive: true });
  });
});

describeWith(["sandbox", "python"], "a server that is killed while a message runs", () => {
  const repository = new Repository(PROBE_AGENTS);
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start({ runtime: "sandbox" });
    await deployAgents(await server.client(), repository.path, { py: "python" });
  });
  afterAll(async () => {
    await server.destroy();
    repository.remove();
  });

  test("takes the message once, and gives whoever asks again its one reply", async () => {
    const client = await server.client();
    const { id } = await client.call("sessions.create", { body: { wait: "ready" } });
    const post = async (token: string) =>
      fetch(`${server.url}${API_BASE}/sessions/${id}/messages`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json", "idempotency-key": "one" },
        body: JSON.stringify({ content: "@py sleep 2", wait: "reply" }),
      });
    const login = async () => (await client.call("auth.login", { body: { user: "admin", pass: "admin" } })).token;
    const token = await login();
    const lost = post(token).catch((error: unknown) => error);
    const events = client.events(id);
    for await (const { type } of events) if (type === "message.start") break;
    expect((await post(token)).status).toBe(409);
    await server.kill();
    expect(await lost).toBeInstanceOf(Error);
    await server.start();
    const answer = await post(token);
    expect(answer.status).toBe(201);
    const { message, reply } = (await answer.json()) as Record<
      string,
      { id: string; status: string; in_reply_to: string }
    >;
    expect(message).toMatchObject({ status: "done", error: null });
    expect(reply?.in_reply_to).toBe(message?.id);
    expect(await client.call("messages.count", { params: { id } })).toEqual({ count: 2 });
    const again = await post(token);
    expect(await again.json()).toEqual({ message, reply });
    expect(again.headers.get("idempotency-replayed")).toBe("true");
  });
});
