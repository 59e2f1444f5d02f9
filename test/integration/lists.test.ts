import { API_BASE, ROUTES, type Route } from "@raworc/contract";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { insertMessage, updateMessage } from "../../packages/server/src/store/messages.ts";
import { type ControlPlane, openControlPlane } from "../support/control-plane.ts";
import { describeDatabases } from "../support/databases.ts";

describeDatabases("lists", (databases) => {
  let plane: ControlPlane;
  let token: string;
  let id: string;
  beforeAll(async () => {
    plane = await openControlPlane({ database: await databases.prepare() });
    token = await plane.login("admin", "admin");
    for (let count = 0; count < 7; count += 1) await post("/spaces", { name: `space-${count}` });
    id = await open({ space: "space-0" });
  });
  afterAll(() => plane.close());

  const get = (path: string) => plane.call("GET", path, { token });
  const post = (path: string, body: object, headers: Record<string, string> = {}) =>
    plane.call("POST", path, { token, body, headers });
  const open = async (body: object) => (await post("/sessions", { ...body, wait: "ready" })).json<{ id: string }>().id;
  const nextOf = (link: unknown, relation = "next") =>
    new RegExp(`^<${API_BASE}(/[^>]*)>; rel="${relation}"$`).exec(String(link))?.[1];

  test("every list has bounds, takes no junk and no field that it doesn't know", async () => {
    const lists = Object.values<Route>(ROUTES).filter(
      ({ answer, method, path, query }) =>
        method === "GET" && answer instanceof z.ZodArray && query instanceof z.ZodObject && !path.includes("/files/"),
    );
    expect(lists.length).toBeGreaterThan(10);
    for (const { path, query } of lists) {
      const url = path.replace(":space", "space-0").replace(":id", id);
      const isPaged = query instanceof z.ZodObject && "cursor" in query.shape;
      const good = ["limit=1", "limit=1000", "deleted=true"];
      const bad = [
        ...["limit=0", "limit=1001", "limit=-1", "limit=1.5", "limit=x", "limit=", "limit=1&limit=2"],
        ...["deleted=yes", "unknown=1"],
        ...(isPaged ? ["cursor=junk", "cursor=", "cursor=AAAA", `cursor=${"x".repeat(513)}`, "cursor=c2VxIHg"] : []),
      ];
      for (const search of good)
        expect([url, search, (await get(`${url}?${search}`)).statusCode]).toEqual([url, search, 200]);
      for (const search of bad) {
        const answer = await get(`${url}?${search}`);
        expect([url, search, answer.statusCode]).toEqual([url, search, 422]);
        expect(answer.json()).toMatchObject({ errors: [{ path: expect.stringMatching(/^query/) }] });
      }
    }
  });

  test("the Link header leads through all pages, keeps the filters, and ends", async () => {
    const seen: string[] = [];
    let path: string | undefined = "/spaces?limit=3&deleted=false";
    while (path !== undefined) {
      const page = await get(path);
      const names = page.json<{ name: string }[]>().map(({ name }) => name);
      expect(names.length).toBeLessThanOrEqual(3);
      seen.push(...names);
      path = nextOf(page.headers["link"]);
      if (path !== undefined) expect(path).toContain("limit=3&deleted=false&cursor=");
    }
    expect(seen).toEqual(
      [...Array(7).keys()]
        .map((count) => `space-${count}`)
        .toReversed()
        .concat("default"),
    );
  });

  test("what is made while somebody pages is neither shown twice nor pushes anything out", async () => {
    const first = await get("/spaces?limit=4");
    await post("/spaces", { name: "meanwhile" });
    const second = await get(nextOf(first.headers["link"]) ?? "");
    const names = [first, second].flatMap((page) => page.json<{ name: string }[]>().map(({ name }) => name));
    expect(names).toHaveLength(8);
    expect(new Set(names).size).toBe(8);
    expect(names).not.toContain("meanwhile");
  });

  test("sessions are found by space, state, maker and labels", async () => {
    const blue = await open({ space: "space-1", metadata: { team: "blue", "cost.center": "7", size: 3 } });
    const red = await open({ space: "space-1", metadata: { team: "red", "cost.center": "7" } });
    const bare = await open({ space: "space-1" });
    const found = async (search: string) =>
      (await get(`/sessions?space=space-1${search}`)).json<{ id: string }[]>().map((session) => session.id);
    expect(await found("")).toEqual([bare, red, blue]);
    expect(await found("&label=team=blue")).toEqual([blue]);
    expect(await found("&label=cost.center=7")).toEqual([red, blue]);
    expect(await found("&label=cost.center=7&label=team=red")).toEqual([red]);
    // Labels are texts: a number is none.
    expect(await found("&label=size=3")).toEqual([]);
    expect(await found("&label=team=")).toEqual([]);
    expect(await found("&created_by=nobody")).toEqual([]);
    expect(await found("&created_by=admin")).toHaveLength(3);
    for (const bad of ["label=team", "label==x", 'label=a"b=x', "label=a b=x", "label=$.x=y"]) {
      expect((await get(`/sessions?${bad}`)).statusCode, bad).toBe(422);
    }
    await plane.call("DELETE", `/sessions/${red}`, { token });
    expect(await found("")).toEqual([bare, blue]);
    expect(await found("&deleted=true")).toEqual([bare, red, blue]);
    expect(await found("&state=deleted")).toEqual([red]);
    expect((await get(`/sessions/${red}`)).statusCode).toBe(404);
    expect((await get(`/sessions/${red}?deleted=true`)).json()).toMatchObject({ state: "deleted" });
    expect((await get("/sessions?space=nowhere")).json()).toEqual([]);
  });

  test("messages come in time order from either end, events from the first", async () => {
    const write = async (status: "done" | "queued") =>
      plane.plainStore.write(async (transaction) => {
        const message = { sessionId: id, role: "user", agent: null, inReplyTo: null, metadata: {}, status } as const;
        return (await insertMessage(transaction, { ...message, content: "x" })).id;
      });
    for (let count = 0; count < 9; count += 1) await write("done");
    const seqs = async (path: string) => {
      const page = await get(path);
      return { seqs: page.json<{ seq: number }[]>().map(({ seq }) => seq), link: page.headers["link"] };
    };
    const latest = await seqs(`/sessions/${id}/messages?limit=4`);
    expect(latest.seqs).toEqual([6, 7, 8, 9]);
    const before = await seqs(nextOf(latest.link, "prev") ?? "");
    expect(before.seqs).toEqual([2, 3, 4, 5]);
    const oldest = await seqs(nextOf(before.link, "prev") ?? "");
    expect([oldest.seqs, oldest.link]).toEqual([[1], undefined]);
    const after = await seqs(`/sessions/${id}/messages?limit=5&after=0`);
    expect(after.seqs).toEqual([1, 2, 3, 4, 5]);
    expect((await seqs(nextOf(after.link) ?? "")).seqs).toEqual([6, 7, 8, 9]);

    const events = await get(`/sessions/${id}/events?limit=1`);
    expect(events.json<{ id: number }[]>().map((event) => event.id)).toEqual([1]);
    expect(nextOf(events.headers["link"])).toBe(`/sessions/${id}/events?limit=1&after=1`);
  });

  test("deleting a session's messages leaves what has not ended", async () => {
    const other = await open({ space: "space-2" });
    const write = (sessionId: string, status: "done" | "running") =>
      plane.plainStore.write(async (transaction) => {
        const message = { sessionId, role: "user", agent: "a", inReplyTo: null, metadata: {}, content: "x" } as const;
        const { id: made } = await insertMessage(transaction, { ...message, status });
        return made;
      });
    await write(other, "done");
    await write(other, "done");
    const running = await write(other, "running");
    const count = async (session: string) => (await get(`/sessions/${session}/messages/count`)).json();
    const elsewhere = await count(id);
    const clear = () => plane.call("DELETE", `/sessions/${other}/messages`, { token });
    expect((await clear()).statusCode).toBe(204);
    expect(await count(other)).toEqual({ count: 1 });
    expect(await count(id)).toEqual(elsewhere);
    await plane.plainStore.write((transaction) => updateMessage(transaction, running, { status: "done" }));
    await clear();
    expect((await get(`/sessions/${other}/messages`)).json()).toEqual([]);
    const [told] = (await get("/audit-events?resource=session-messages&action=delete")).json<{ details: object }[]>();
    expect(told).toMatchObject({ details: { messages: 1 }, outcome: "allowed" });
  });

  test("Prefer holds a creation until the session is ready, or for as long as it says", async () => {
    const prefer = async (text: string) => {
      const answer = await post("/sessions", { space: "space-3" }, { prefer: text });
      expect(answer.statusCode).toBe(201);
      return [answer.json<{ state: string }>().state, answer.headers["preference-applied"]];
    };
    // There are no computers here: what it waits for is the failure.
    expect(await prefer("wait=30")).toEqual(["error", "wait=30"]);
    expect(await prefer("respond-async, wait=100000")).toEqual(["error", "wait=120"]);
    expect((await prefer("wait=0"))[1]).toBe("wait=0");
    for (const nonsense of ["wait", "wait=x", "waiting=3", ""]) {
      expect((await prefer(nonsense))[1], nonsense).toBeUndefined();
    }
  });
});
