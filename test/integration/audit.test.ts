import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { anchorPath } from "../../packages/server/src/access/identity.ts";
import { AuditAnchor } from "../../packages/server/src/audit/audit-anchor.ts";
import { verifyAudit } from "../../packages/server/src/audit/verify-audit.ts";
import { type ControlPlane, openControlPlane } from "../support/control-plane.ts";

interface Told {
  readonly seq: number;
  readonly principal: string | null;
  readonly action: string;
  readonly resource: string;
  readonly name: string | null;
  readonly space: string | null;
  readonly outcome: string;
  readonly request_id: string | null;
  readonly details: Record<string, unknown>;
  readonly prev_hash: string;
  readonly hash: string;
}

describe("what is told", () => {
  let plane: ControlPlane;
  let admin: string;
  beforeAll(async () => {
    plane = await openControlPlane();
    admin = await plane.login("admin", "admin");
    await plane.call("POST", "/spaces", { token: admin, body: { name: "home" } });
    await plane.call("POST", "/service-accounts", { token: admin, body: { user: "viewer", pass: "viewer" } });
    const body = { role_name: "viewer", principal: "viewer", space: "home" };
    await plane.call("POST", "/role-bindings", { token: admin, body });
  });
  afterAll(() => plane.close());

  const events = async (filter = ""): Promise<Told[]> => {
    const answer = await plane.call("GET", `/audit-events?limit=1000${filter}`, { token: admin });
    expect(answer.statusCode).toBe(200);
    return answer.json<Told[]>();
  };
  const brief = ({ action, name, outcome, principal, resource, space }: Told) =>
    `${principal} ${action} ${resource} ${name} ${space} ${outcome}`;
  /** What was told since, oldest first. */
  const since = async (seq: number) =>
    (await events())
      .filter((event) => event.seq > seq)
      .toReversed()
      .map(brief);
  const last = async () => (await events())[0]?.seq ?? 0;

  test("each change once, with who, what and where; reads are not told of", async () => {
    const from = await last();
    const ids: Record<string, string> = {};
    const call = async (method: "POST" | "PUT" | "DELETE", path: string, body?: object) => {
      const answer = await plane.call(method, path, { token: admin, ...(body === undefined ? {} : { body }) });
      expect(`${path} ${answer.statusCode} ${answer.statusCode < 300 ? "" : answer.body}`).toMatch(/ 20\d $/);
      return answer;
    };
    await call("POST", "/spaces/home/agents", { name: "agent", source_repo: "a/b" });
    await call("POST", "/spaces/home/agents/agent/stop");
    await call("PUT", "/spaces/home", { settings: { root: true, auto_build: false } });
    await call("POST", "/spaces/home/secrets", { key_name: "KEY", value: "value" });
    ids["session"] = (await call("POST", "/sessions", { space: "home" })).json<{ id: string }>().id;
    await call("PUT", `/sessions/${ids["session"]}`, { name: "mine" });
    await call("POST", "/auth/tokens", { name: "ci" });
    await call("DELETE", `/sessions/${ids["session"]}`);
    await plane.call("GET", "/spaces/home", { token: admin });
    await plane.call("GET", "/spaces/home/secrets", { token: admin });
    expect(await since(from)).toEqual([
      "admin create agents agent home allowed",
      "admin stop agents agent home allowed",
      "admin update spaces home home allowed",
      "admin create secrets KEY home allowed",
      `admin create sessions ${ids["session"]} home allowed`,
      `admin update sessions ${ids["session"]} home allowed`,
      "admin create tokens ci null allowed",
      `admin delete sessions ${ids["session"]} home allowed`,
    ]);
    const [change] = await events("&action=update&resource=spaces");
    expect(change?.details).toEqual({ fields: ["settings"], root: true });
  });

  test("refusals and failures, of changes and of reads", async () => {
    const viewer = await plane.login("viewer", "viewer");
    const from = await last();
    await plane.call("DELETE", "/spaces/home", { token: viewer });
    await plane.call("GET", "/roles", { token: viewer });
    await plane.call("GET", "/spaces/default", { token: viewer });
    await plane.call("POST", "/spaces", { token: admin, body: { name: "home" } });
    await plane.call("POST", "/spaces", { token: admin, body: { name: "Not A Name" } });
    await plane.call("GET", "/spaces/nowhere", { token: viewer });
    expect(await since(from)).toEqual([
      "viewer delete spaces home home denied",
      "viewer list roles null null denied",
      "viewer get spaces default default denied",
      "admin create spaces home null failed",
      "admin create spaces null null failed",
    ]);
  });

  test("logins, right and wrong, and calls without a good token", async () => {
    const from = await last();
    await plane.login("viewer", "viewer");
    await plane.call("POST", "/auth/login", { body: { user: "viewer", pass: "wrong" } });
    await plane.call("POST", "/auth/login", { body: { user: "ghost", pass: "wrong" } });
    await plane.call("GET", "/spaces", { token: "no-token" });
    expect(await since(from)).toEqual([
      "viewer login tokens viewer null allowed",
      "viewer login tokens viewer null denied",
      "null login tokens ghost null denied",
      "null list spaces null null denied",
    ]);
  });

  test("callers without a token can't fill it, and what is left out is counted", async () => {
    const from = await last();
    for (let count = 0; count < 200; count += 1) await plane.call("GET", "/spaces");
    expect((await since(from)).length).toBeLessThan(31);
  });

  test("the request is named, so that its log line can be found", async () => {
    const headers = { "x-request-id": "my-request" };
    await plane.call("POST", "/auth/tokens", { token: admin, body: { name: "r" }, headers });
    expect((await events())[0]).toMatchObject({ request_id: "my-request", address: "127.0.0.1" });
    const headersOfRefused = { "x-request-id": "refused-request" };
    const body = { name: "default" };
    await plane.call("POST", "/spaces", { token: admin, body, headers: headersOfRefused });
    expect((await events())[0]).toMatchObject({ request_id: "refused-request", details: { code: "name_taken" } });
  });

  test("a change and its event are there together, or neither is", async () => {
    const count = async () => (await plane.plainStore.read.selectFrom("audit_events").select("seq").execute()).length;
    const spaces = async () => (await plane.plainStore.read.selectFrom("spaces").select("name").execute()).length;
    const before = [await count(), await spaces()];
    const { store } = plane.identity;
    const original = plane.identity.audit.append.bind(plane.identity.audit);
    plane.identity.audit.append = () => Promise.reject(new Error("no event can be written"));
    const answer = await plane.call("POST", "/spaces", { token: admin, body: { name: "untold" } });
    // That it failed is told after the answer, and can't be told either.
    await plane.identity.audit.settled();
    plane.identity.audit.append = original;
    expect(answer.statusCode).toBe(500);
    expect(await spaces()).toBe(before[1]);
    await store.write(async () => undefined);
    expect(await count()).toBe(before[0]);
  });

  test("lists filter, page, and chain", async () => {
    const all = await events();
    const seen: Told[] = [];
    let path: string | undefined = "/audit-events?limit=7";
    while (path !== undefined) {
      const answer = await plane.call("GET", path, { token: admin });
      seen.push(...answer.json<Told[]>());
      path = /<\/api\/v0([^>]+)>; rel="next"/.exec(String(answer.headers["link"] ?? ""))?.[1];
    }
    expect(seen).toEqual(all);
    expect(all.map(({ seq }) => seq)).toEqual(all.map((_, index) => all.length - index));
    for (const [index, event] of all.entries()) {
      expect(event.prev_hash).toBe(all[index + 1]?.hash ?? "");
    }
    const filters: [string, (event: Told) => boolean][] = [
      ["&principal=viewer", ({ principal }) => principal === "viewer"],
      ["&action=login", ({ action }) => action === "login"],
      ["&resource=secrets", ({ resource }) => resource === "secrets"],
      ["&outcome=denied", ({ outcome }) => outcome === "denied"],
      ["&space=home", ({ space }) => space === "home"],
    ];
    for (const [filter, keeps] of filters) {
      const filtered = await events(filter);
      expect(filtered.length).toBeGreaterThan(0);
      expect(filtered).toEqual(all.filter(keeps));
    }
    expect(await events("&since=2999-01-01T00:00:00Z")).toEqual([]);
    expect(await events("&until=2000-01-01T00:00:00Z")).toEqual([]);
    for (const junk of ["cursor=junk", "limit=0", "outcome=maybe", "since=yesterday", "unknown=1"]) {
      expect((await plane.call("GET", `/audit-events?${junk}`, { token: admin })).statusCode).toBe(422);
    }
  });

  test("a hundred changes at once make one unbroken chain", async () => {
    const from = await last();
    await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        plane.call("POST", "/spaces", { token: admin, body: { name: `many${index}` } }),
      ),
    );
    expect(await since(from)).toHaveLength(100);
    const verdict = await verifyAudit(plane.plainStore.read, plane.identity.keyring);
    expect(verdict.findings).toEqual([]);
    expect(verdict.events).toBe(await last());
  });
});

describe("what verification finds", () => {
  let plane: ControlPlane;
  let directory: string;

  /** A control plane with some events, closed again, and then changed from outside. */
  async function broken(change: (plane: ControlPlane) => Promise<unknown>): Promise<void> {
    const first = await openControlPlane();
    directory = first.directory;
    const admin = await first.login("admin", "admin");
    for (const name of ["one", "two", "three", "four"]) {
      await first.call("POST", "/spaces", { token: admin, body: { name } });
    }
    plane = first;
    await change(first);
  }
  afterEach(() => plane.close());

  const verify = async () => {
    await plane.identity.audit.close();
    const anchor = await new AuditAnchor(anchorPath(directory)).read();
    return verifyAudit(plane.plainStore.read, plane.identity.keyring, anchor);
  };
  const findings = async () => (await verify()).findings.map(({ seq, problem }) => `${seq}: ${problem}`);
  const edit = (statement: string) => (given: ControlPlane) =>
    given.plainStore.write(async (transaction) => {
      const { CompiledQuery } = await import("kysely");
      for (const text of statement.split(";")) await transaction.executeQuery(CompiledQuery.raw(text));
    });

  test("nothing, where nothing was changed", async () => {
    await broken(async () => undefined);
    expect(await findings()).toEqual([]);
  });

  test.each([
    ["a changed name", "update audit_events set name = 'x' where seq = 4", ["4: the event was changed"]],
    ["a changed space", "update audit_events set space_id = 'x' where seq = 4", ["4: the event was changed"]],
    ["changed details", "update audit_events set details = '{}' where seq = 2", ["2: the event was changed"]],
    ["a removed event", "delete from audit_events where seq = 4", ["5: events 4 to 4 are missing"]],
    [
      "the newest event removed",
      "delete from audit_events where seq = (select seq from audit_head)",
      [/^null: events after \d+ are missing/, /^null: there was an event/],
    ],
    [
      "the newest removed and the head put back",
      "delete from audit_events where seq = (select seq from audit_head);" +
        "update audit_head set seq = seq - 1, hash = (select hash from audit_events order by seq desc limit 1)",
      [/^null: the head doesn't fit its seal/, /^null: there was an event/],
    ],
    [
      "two events in each other's place",
      "update audit_events set seq = 99 where seq = 4;update audit_events set seq = 4 where seq = 5;" +
        "update audit_events set seq = 5 where seq = 99",
      [/^4: the event doesn't follow/, /^4: the event was changed/, /^5: /, /^5: /, /^6: /],
    ],
    [
      "an event put in at the end",
      "insert into audit_events select seq + 1, 'id', created_at, principal, principal_id, action, resource, name, " +
        "space, space_id, outcome, request_id, address, details, hash, 'hash' from audit_events order by seq desc limit 1",
      [/^\d+: there are events up to/, /^\d+: the event was changed/],
    ],
    ["everything removed", "delete from audit_events", [/events after 0 are missing/, /there was an event/]],
    [
      "everything removed and the head as if new",
      "delete from audit_events;update audit_head set seq = 0, hash = '', key_id = '', seal = ''",
      [/the head was never sealed/, /there was an event/],
    ],
  ])("%s", async (_, statement, expected) => {
    await broken(async (given) => {
      await given.identity.audit.close();
      await edit(statement)(given);
    });
    const found = await findings();
    expect(found).toHaveLength(expected.length);
    for (const [index, problem] of expected.entries()) expect(found[index]).toMatch(problem);
  });

  test("a chain that goes on after it was cut tells of it itself", async () => {
    await broken(async (given) => {
      const admin = await given.login("admin", "admin");
      await edit(
        "delete from audit_events where seq > 3;" +
          "update audit_head set seq = 3, hash = (select hash from audit_events where seq = 3)",
      )(given);
      await given.call("POST", "/spaces", { token: admin, body: { name: "five" } });
    });
    expect(await findings()).toContainEqual(expect.stringMatching(/^4: told by the server: .*there are 3 events/));
  });

  test("a database that was put back as a whole, by the anchor outside of it, also at the next start", async () => {
    await broken(async () => undefined);
    const { identity, plainStore } = plane;
    await identity.audit.close();
    const path = anchorPath(directory);
    const anchor = await readFile(path, "utf8");
    const whole = await verify();
    // What a copy of the database from before would look like: fewer events, and a head with a good seal.
    const head = await plainStore.read.selectFrom("audit_head").selectAll().executeTakeFirstOrThrow();
    const admin = await plane.login("admin", "admin");
    await plane.call("POST", "/spaces", { token: admin, body: { name: "five" } });
    await identity.audit.close();
    expect(await readFile(path, "utf8")).not.toBe(anchor);
    await plainStore.write(async (transaction) => {
      await transaction.deleteFrom("audit_events").where("seq", ">", head.seq).execute();
      await transaction.updateTable("audit_head").set(head).execute();
    });
    expect((await verify()).events).toBe(whole.events);
    expect(await findings()).toEqual([expect.stringMatching(/there was an event \d+, which is missing/)]);
    const again = await openControlPlane({ directory });
    try {
      const { findings: told } = await verifyAudit(again.plainStore.read, again.identity.keyring);
      expect(told).toEqual([expect.objectContaining({ problem: expect.stringMatching(/told by the server/) })]);
    } finally {
      await again.close();
    }
  });

  test("an anchor that isn't ours", async () => {
    await broken(async () => undefined);
    await plane.identity.audit.close();
    const path = join(directory, "audit.anchor");
    const anchor = JSON.parse(await readFile(path, "utf8"));
    await writeFile(path, JSON.stringify({ ...anchor, seq: 1 }));
    expect(await findings()).toEqual(["null: the anchor file doesn't fit its seal"]);
    await writeFile(path, "{");
    expect(await findings()).toEqual(["null: the anchor file is damaged"]);
    await rm(path);
    expect(await findings()).toEqual([]);
  });
});
