import { afterAll, beforeAll, expect, test } from "vitest";
import { SessionLog } from "../../packages/server/src/operator/session-log.ts";
import { deleteSession, pauseSession } from "../../packages/server/src/operator/session-requests.ts";
import { Wakeups } from "../../packages/server/src/operator/wakeups.ts";
import { getSession, updateSession } from "../../packages/server/src/store/sessions.ts";
import { type ControlPlane, openControlPlane } from "../support/control-plane.ts";
import { describeDatabases } from "../support/databases.ts";

describeDatabases("quotas", (databases) => {
  let plane: ControlPlane;
  let token: string;
  beforeAll(async () => {
    plane = await openControlPlane({ database: await databases.prepare() });
    token = await plane.login("admin", "admin");
  });
  afterAll(() => plane.close());

  const space = async (name: string, quota: object) => {
    const answer = await plane.call("POST", "/spaces", { token, body: { name, settings: { quota } } });
    expect(answer.statusCode, answer.body).toBe(201);
  };
  const post = (path: string, body: object = {}) => plane.call("POST", path, { token, body });
  /** Opens a session and waits until the operator has given it up, and leaves it alone. */
  const open = async (name: string) =>
    (await post("/sessions", { space: name, wait: "ready" })).json<{ id: string }>().id;
  /** There are no computers here: the sessions are put into the state that is asked for by hand. */
  const put = async (id: string, change: Parameters<typeof updateSession>[2]) => {
    await plane.plainStore.write((transaction) => updateSession(transaction, id, { error: null, ...change }));
  };
  const statuses = async (answers: Promise<{ statusCode: number }>[]) =>
    (await Promise.all(answers)).map(({ statusCode }) => statusCode).toSorted();

  test("a quota that can't be is refused", async () => {
    for (const quota of [{ sessions: -1 }, { sessions: 1.5 }, { messages: 3 }, { running_sessions: "1" }]) {
      const answer = await post("/spaces", { name: "bad", settings: { quota } });
      expect(answer.statusCode, answer.body).toBe(422);
    }
  });

  test("of many at the same time as many sessions are opened as there is room for", async () => {
    await space("crowd", { sessions: 3 });
    const answers = Array.from({ length: 12 }, () => post("/sessions", { space: "crowd" }));
    expect(await statuses(answers)).toEqual([...Array(3).fill(201), ...Array(9).fill(429)]);
    const refused = await post("/sessions", { space: "crowd" });
    expect(refused.json()).toMatchObject({ code: "quota_exceeded", detail: expect.stringContaining("delete one") });
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
    expect((await post("/sessions", { space: "default" })).statusCode).toBe(201);

    const [session] = (await plane.call("GET", "/sessions?space=crowd", { token })).json<{ id: string }[]>();
    await plane.call("DELETE", `/sessions/${session?.id}`, { token });
    expect((await post("/sessions", { space: "crowd" })).statusCode).toBe(201);
  });

  test("a fork is a session too", async () => {
    await space("forks", { sessions: 1 });
    const id = await open("forks");
    await put(id, { state: "idle" });
    expect((await post(`/sessions/${id}/fork`)).json()).toMatchObject({ code: "quota_exceeded" });
  });

  test("sessions that rest make room for running ones, and wait for room themselves", async () => {
    await space("rest", { running_sessions: 1 });
    const first = await open("rest");
    await put(first, { state: "idle" });
    expect((await post("/sessions", { space: "rest" })).json()).toMatchObject({ code: "quota_exceeded" });
    await put(first, { tier: "frozen" });
    expect((await post("/sessions", { space: "rest" })).statusCode).toBe(429);

    await put(first, { tier: "stopped" });
    const second = await open("rest");
    await put(second, { state: "idle" });
    expect((await post(`/sessions/${first}/messages`, { content: "wake up" })).statusCode).toBe(429);
    expect((await post(`/sessions/${first}/exec`, { command: "true" })).statusCode).toBe(429);
    await put(first, { state: "paused" });
    expect((await post(`/sessions/${first}/resume`)).statusCode).toBe(429);
    expect((await post(`/sessions/${first}/messages`, { content: "wake up" })).statusCode).toBe(429);

    const log = new SessionLog(plane.plainStore, new Wakeups());
    await log.write(async (transaction, append) =>
      pauseSession(transaction, append, await getSession(transaction, second)),
    );
    expect((await post(`/sessions/${first}/messages`, { content: "wake up" })).statusCode).toBe(201);
    await log.write(async (transaction, append) =>
      deleteSession(transaction, append, await getSession(transaction, first), "done"),
    );
  });

  test("a minute takes as many messages as it may, and says when the next one is taken", async () => {
    await space("talk", { messages_per_minute: 5 });
    const [one, two] = [await open("talk"), await open("talk")];
    for (const id of [one, two]) await put(id, { state: "idle" });
    const answers = Array.from({ length: 10 }, (_, index) =>
      post(`/sessions/${index % 2 === 0 ? one : two}/messages`, { content: "hello" }),
    );
    expect(await statuses(answers)).toEqual([...Array(5).fill(201), ...Array(5).fill(429)]);
    const refused = await post(`/sessions/${one}/messages`, { content: "hello" });
    expect(refused.json()).toMatchObject({ code: "quota_exceeded" });
    const wait = Number(refused.headers["retry-after"]);
    expect(wait).toBeGreaterThan(30);
    expect(wait).toBeLessThanOrEqual(60);
    const count = async (id: string) =>
      (await plane.call("GET", `/sessions/${id}/messages?limit=1000`, { token }))
        .json<{ role: string }[]>()
        .filter(({ role }) => role === "user").length;
    expect((await count(one)) + (await count(two))).toBe(5);

    // A minute later, as far as the records tell.
    await plane.plainStore.write((transaction) =>
      transaction.updateTable("message_times").set({ created_at: "2020-01-01T00:00:00.000Z" }).execute(),
    );
    expect((await post(`/sessions/${one}/messages`, { content: "hello" })).statusCode).toBe(201);
    const left = await plane.plainStore.read.selectFrom("message_times").selectAll().execute();
    expect(left).toHaveLength(1);
  });

  test("a principal's requests are bounded, and nobody else's with them", async () => {
    const bounded = await openControlPlane({ rateLimit: 20 });
    try {
      const [admin, operator] = [await bounded.login("admin", "admin"), await bounded.login("operator", "admin")];
      const get = (by: string) => bounded.call("GET", "/auth/me", { token: by });
      const answers = await Promise.all(Array.from({ length: 30 }, () => get(admin)));
      const refused = answers.filter(({ statusCode }) => statusCode === 429);
      expect(refused).toHaveLength(10);
      expect(refused[0]?.json()).toMatchObject({ code: "rate_limited" });
      expect(refused[0]?.headers["retry-after"]).toMatch(/^[1-9]\d*$/);
      expect((await get(operator)).statusCode).toBe(200);
      expect((await bounded.call("GET", "/version")).statusCode).toBe(200);
    } finally {
      await bounded.close();
    }
  });
});
