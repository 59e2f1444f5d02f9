import { API_BASE, ROUTES, type Route, type RouteName } from "@raworc/contract";
import type { InjectOptions } from "fastify";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { insertAccount } from "../../packages/server/src/store/accounts.ts";
import { insertAgent } from "../../packages/server/src/store/agents.ts";
import { insertBuild } from "../../packages/server/src/store/builds.ts";
import { insertRoleBinding } from "../../packages/server/src/store/role-bindings.ts";
import { insertRole } from "../../packages/server/src/store/roles.ts";
import { insertSession, updateSession } from "../../packages/server/src/store/sessions.ts";
import { insertSpace } from "../../packages/server/src/store/spaces.ts";
import type { Transaction } from "../../packages/server/src/store/store.ts";
import { later } from "../../packages/server/src/store/time.ts";
import { insertApiToken } from "../../packages/server/src/store/tokens.ts";
import { type ControlPlane, openControlPlane } from "../support/control-plane.ts";

/** Who calls: without a token; with viewer everywhere; developer of another space; of this one; operator; admin. */
const CALLERS = ["nobody", "viewer", "outsider", "developer", "operator", "admin"] as const;
type CallerName = (typeof CALLERS)[number];

const DAY_MS = 24 * 60 * 60 * 1000;

/** Makes what a call is about, anew for each call, and gives the path and body to use. */
type Subject = (world: World) => Promise<{ readonly path: string; readonly body?: unknown }>;

interface Row {
  /** Expected statuses, in the order of CALLERS. */
  readonly expected: readonly [number, number, number, number, number, number];
  readonly subject: Subject;
}

class World {
  plane!: ControlPlane;
  homeId = "";
  adminId = "";
  /** Somebody else of this space, whose sessions are used. */
  ownerId = "";
  #count = 0;
  readonly tokens: Partial<Record<CallerName, string>> = {};

  fresh(): string {
    this.#count += 1;
    return `n${this.#count}`;
  }

  write<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.plane.plainStore.write(work);
  }

  account(): Promise<{ id: string; user: string }> {
    return this.write((transaction) =>
      insertAccount(transaction, { user: this.fresh(), passwordHash: "", description: "", active: true }),
    );
  }

  async space(): Promise<string> {
    const space = { name: this.fresh(), description: "", settings: {}, createdBy: "admin" };
    return (await this.write((transaction) => insertSpace(transaction, space))).name;
  }

  async role(): Promise<string> {
    const role = { name: this.fresh(), description: "", rules: [] };
    return (await this.write((transaction) => insertRole(transaction, role))).name;
  }

  async binding(): Promise<string> {
    const { id } = await this.account();
    const binding = { role: "viewer", accountId: id, spaceId: this.homeId };
    return this.write((transaction) => insertRoleBinding(transaction, binding));
  }

  token(): Promise<string> {
    const token = { name: "t", hash: this.fresh(), spaceId: null, role: null, expiresAt: null };
    return this.write((transaction) => insertApiToken(transaction, { ...token, accountId: this.ownerId }));
  }

  async secret(): Promise<string> {
    const keyName = this.fresh();
    await this.plane.call("POST", "/spaces/home/secrets", {
      token: this.tokens.admin,
      body: { key_name: keyName, value: "value" },
    });
    return keyName;
  }

  async agent(): Promise<string> {
    const agent = {
      name: this.fresh(),
      description: "",
      purpose: "",
      source_repo: "a/b",
      source_branch: null,
      source_path: null,
    };
    return (await this.write((transaction) => insertAgent(transaction, this.homeId, "admin", agent))).name;
  }

  async build(): Promise<string> {
    // So late that nothing begins to build it.
    const build = { spaceId: this.homeId, forceRebuild: false, notBefore: later(DAY_MS) };
    return (await this.write((transaction) => insertBuild(transaction, build))).id;
  }

  async session(state: "idle" | "error" = "idle"): Promise<string> {
    return this.write(async (transaction) => {
      const session = await insertSession(transaction, {
        spaceId: this.homeId,
        name: null,
        createdBy: "owner",
        ownerId: this.ownerId,
        buildId: null,
        limits: { cpus: 1, memory_mb: 512, disk_mb: 512, pids: 64 },
        network: { mode: "none" },
        metadata: {},
      });
      await updateSession(transaction, session.id, { state, error: state === "error" ? "broken" : null });
      return session.id;
    });
  }
}

const at =
  (path: string, body?: unknown): Subject =>
  async () => ({ path, body });
const on =
  (make: (world: World) => Promise<string>, path: (name: string) => string, body?: unknown): Subject =>
  async (world) => ({ path: path(await make(world)), body });

const agent = (suffix = "", body?: unknown) =>
  on(
    (world) => world.agent(),
    (name) => `/spaces/home/agents/${name}${suffix}`,
    body,
  );
const build = (suffix = "") =>
  on(
    (world) => world.build(),
    (id) => `/spaces/home/build/${id}${suffix}`,
  );
const session = (suffix = "", body?: unknown, state?: "error") =>
  on(
    (world) => world.session(state),
    (id) => `/sessions/${id}${suffix}`,
    body,
  );
const secret = (suffix = "", body?: unknown) =>
  on(
    (world) => world.secret(),
    (name) => `/spaces/home/secrets/${name}${suffix}`,
    body,
  );
const account = (suffix = "", body?: unknown) =>
  on(
    async (world) => (await world.account()).user,
    (name) => `/service-accounts/${name}${suffix}`,
    body,
  );
const role = (body?: unknown) =>
  on(
    (world) => world.role(),
    (name) => `/roles/${name}`,
    body,
  );
const binding = () =>
  on(
    (world) => world.binding(),
    (id) => `/role-bindings/${id}`,
  );
const othersToken = () =>
  on(
    (world) => world.token(),
    (id) => `/auth/tokens/${id}`,
  );
const named = (path: string, field: string, body: object): Subject => {
  return async (world) => ({ path, body: { ...body, [field]: world.fresh() } });
};

const ALL_IN = [401, 200, 200, 200, 200, 200] as const;

/** Every route of the contract. Beside the route's own, rows with a `?` say what a query or a body changes. */
const TABLE = {
  "health.get": { expected: [200, 200, 200, 200, 200, 200], subject: at("/health") },
  "version.get": { expected: [200, 200, 200, 200, 200, 200], subject: at("/version") },
  "auth.login": {
    expected: [200, 200, 200, 200, 200, 200],
    subject: at("/auth/login", { user: "admin", pass: "admin" }),
  },
  "auth.logout": { expected: [401, 204, 204, 204, 204, 204], subject: at("/auth/logout") },
  "auth.me": { expected: ALL_IN, subject: at("/auth/me") },
  "tokens.list": { expected: ALL_IN, subject: at("/auth/tokens") },
  "tokens.create": { expected: [401, 201, 201, 201, 201, 201], subject: at("/auth/tokens", { name: "mine" }) },
  "tokens.get": { expected: [401, 200, 404, 404, 404, 200], subject: othersToken() },
  "tokens.delete": { expected: [401, 403, 404, 404, 404, 204], subject: othersToken() },
  "service-accounts.list": { expected: [401, 200, 403, 403, 403, 200], subject: at("/service-accounts") },
  "service-accounts.create": {
    expected: [401, 403, 403, 403, 403, 201],
    subject: named("/service-accounts", "user", { pass: "secret" }),
  },
  "service-accounts.get": { expected: [401, 200, 404, 404, 404, 200], subject: account() },
  "service-accounts.update": {
    expected: [401, 403, 404, 404, 404, 200],
    subject: account("", { description: "changed" }),
  },
  "service-accounts.delete": { expected: [401, 403, 404, 404, 404, 204], subject: account() },
  "service-accounts.set-password": {
    expected: [401, 403, 404, 404, 404, 204],
    subject: account("/password", { new_password: "changed" }),
  },
  "roles.list": { expected: [401, 200, 403, 403, 403, 200], subject: at("/roles") },
  "roles.create": { expected: [401, 403, 403, 403, 403, 201], subject: named("/roles", "name", { rules: [] }) },
  "roles.get": { expected: [401, 200, 404, 404, 404, 200], subject: role() },
  "roles.update": { expected: [401, 403, 404, 404, 404, 200], subject: role({ description: "changed" }) },
  "roles.delete": { expected: [401, 403, 404, 404, 404, 204], subject: role() },
  "role-bindings.list": { expected: [401, 200, 403, 403, 403, 200], subject: at("/role-bindings") },
  "role-bindings.create": {
    expected: [401, 403, 422, 403, 403, 201],
    subject: async (world) => ({
      path: "/role-bindings",
      body: { role_name: "viewer", principal: (await world.account()).user, space: "home" },
    }),
  },
  "role-bindings.get": { expected: [401, 200, 404, 404, 404, 200], subject: binding() },
  "role-bindings.delete": { expected: [401, 403, 404, 404, 404, 204], subject: binding() },
  "audit-events.list": { expected: [401, 200, 403, 403, 403, 200], subject: at("/audit-events") },
  "secrets.list": { expected: [401, 200, 404, 200, 200, 200], subject: at("/spaces/home/secrets") },
  "secrets.list?values": {
    expected: [401, 403, 404, 403, 200, 200],
    subject: at("/spaces/home/secrets?show_values=true"),
  },
  "secrets.create": {
    expected: [401, 403, 404, 201, 201, 201],
    subject: named("/spaces/home/secrets", "key_name", { value: "value" }),
  },
  "secrets.get": { expected: [401, 200, 404, 200, 200, 200], subject: secret() },
  "secrets.get?values": { expected: [401, 403, 404, 403, 200, 200], subject: secret("?show_values=true") },
  "secrets.update": { expected: [401, 403, 404, 200, 200, 200], subject: secret("", { value: "changed" }) },
  "secrets.delete": { expected: [401, 403, 404, 204, 204, 204], subject: secret() },
  "spaces.list": { expected: ALL_IN, subject: at("/spaces") },
  "spaces.create": { expected: [401, 403, 403, 403, 403, 201], subject: named("/spaces", "name", {}) },
  "spaces.get": { expected: [401, 200, 404, 200, 200, 200], subject: at("/spaces/home") },
  "spaces.update": {
    expected: [401, 403, 404, 403, 403, 200],
    subject: at("/spaces/home", { description: "changed" }),
  },
  "spaces.delete": {
    expected: [401, 403, 404, 404, 403, 204],
    subject: on(
      (world) => world.space(),
      (name) => `/spaces/${name}`,
    ),
  },
  "agents.list": { expected: [401, 200, 404, 200, 200, 200], subject: at("/spaces/home/agents") },
  "agents.create": {
    expected: [401, 403, 404, 201, 403, 201],
    subject: named("/spaces/home/agents", "name", { source_repo: "a/b" }),
  },
  "agents.get": { expected: [401, 200, 404, 200, 200, 200], subject: agent() },
  "agents.update": { expected: [401, 403, 404, 200, 403, 200], subject: agent("", { purpose: "changed" }) },
  "agents.delete": { expected: [401, 403, 404, 204, 403, 204], subject: agent() },
  "agents.deploy": { expected: [401, 403, 404, 202, 202, 202], subject: agent("/deploy") },
  "agents.logs": { expected: [401, 200, 404, 200, 200, 200], subject: agent("/logs") },
  // The session is somebody else's, whom a developer does not see.
  "agents.logs?session": {
    expected: [401, 409, 404, 404, 409, 409],
    subject: async (world) => {
      const path = `/spaces/home/agents/${await world.agent()}/logs?session_id=${await world.session("error")}`;
      return { path };
    },
  },
  "agents.stop": { expected: [401, 403, 404, 200, 403, 200], subject: agent("/stop") },
  "builds.create": { expected: [401, 403, 404, 202, 202, 202], subject: at("/spaces/home/build") },
  "builds.list": { expected: [401, 200, 404, 200, 200, 200], subject: at("/spaces/home/builds") },
  "builds.latest": {
    expected: [401, 200, 404, 200, 200, 200],
    subject: on(
      (world) => world.build(),
      () => "/spaces/home/build/latest",
    ),
  },
  "builds.get": { expected: [401, 200, 404, 200, 200, 200], subject: build() },
  "builds.logs": { expected: [401, 200, 404, 200, 200, 200], subject: build("/logs") },
  "builds.cancel": { expected: [401, 403, 404, 202, 202, 202], subject: build("/cancel") },
  // Sessions are somebody else's: a developer has no list-all, so they are hidden from him.
  "sessions.list": { expected: [401, 200, 200, 200, 200, 200], subject: at("/sessions") },
  "sessions.create": { expected: [401, 403, 404, 201, 201, 201], subject: at("/sessions", { space: "home" }) },
  "sessions.get": { expected: [401, 200, 404, 404, 200, 200], subject: session() },
  "sessions.update": { expected: [401, 403, 404, 404, 200, 200], subject: session("", { name: "changed" }) },
  "sessions.delete": { expected: [401, 403, 404, 404, 204, 204], subject: session() },
  // There are no computers here: 409 is the answer of one who may.
  "sessions.exec": {
    expected: [401, 403, 404, 404, 409, 409],
    subject: session("/exec", { command: "true" }, "error"),
  },
  "sessions.logs": { expected: [401, 409, 404, 404, 409, 409], subject: session("/logs", undefined, "error") },
  "sessions.usage": { expected: [401, 200, 404, 404, 200, 200], subject: session("/usage") },
  "sessions.terminal": { expected: [401, 403, 404, 404, 409, 409], subject: session("/terminal", undefined, "error") },
  "ports.get": { expected: [401, 409, 404, 404, 409, 409], subject: session("/ports/80/a?b=c", undefined, "error") },
  "ports.post": { expected: [401, 409, 404, 404, 409, 409], subject: session("/ports/80/a", {}, "error") },
  "ports.put": { expected: [401, 409, 404, 404, 409, 409], subject: session("/ports/80", {}, "error") },
  "ports.delete": { expected: [401, 409, 404, 404, 409, 409], subject: session("/ports/80/", undefined, "error") },
  "files.get": { expected: [401, 403, 404, 404, 409, 409], subject: session("/files/a", undefined, "error") },
  // What is outside of /session is for who may do that.
  "files.get?any": { expected: [401, 403, 404, 404, 409, 409], subject: session("/files/%2Fa", undefined, "error") },
  "files.put": { expected: [401, 403, 404, 404, 409, 409], subject: session("/files/a", {}, "error") },
  "files.move": {
    expected: [401, 403, 404, 404, 409, 409],
    subject: session("/files/a?move_to=b", undefined, "error"),
  },
  "files.delete": { expected: [401, 403, 404, 404, 409, 409], subject: session("/files/a", undefined, "error") },
  "sessions.pause": { expected: [401, 403, 404, 404, 409, 409], subject: session("/pause", undefined, "error") },
  "sessions.fork": { expected: [401, 403, 404, 404, 409, 409], subject: session("/fork", {}, "error") },
  "sessions.resume": { expected: [401, 403, 404, 404, 409, 409], subject: session("/resume") },
  "sessions.cancel": { expected: [401, 403, 404, 404, 409, 409], subject: session("/cancel") },
  "events.list": { expected: [401, 200, 404, 404, 200, 200], subject: session("/events") },
  "messages.list": { expected: [401, 200, 404, 404, 200, 200], subject: session("/messages") },
  "messages.create": {
    expected: [401, 403, 404, 404, 409, 409],
    subject: session("/messages", { content: "hello" }, "error"),
  },
  "messages.delete": { expected: [401, 403, 404, 404, 204, 204], subject: session("/messages") },
  "messages.count": { expected: [401, 200, 404, 404, 200, 200], subject: session("/messages/count") },
} as const satisfies Record<RouteName, Row> & Record<string, Row>;

const world = new World();

beforeAll(async () => {
  world.plane = await openControlPlane();
  const { call, identity, login } = world.plane;
  const admin = await login("admin", "admin");
  world.tokens.admin = admin;
  world.tokens.operator = await login("operator", "admin");
  for (const name of ["home", "other"]) await call("POST", "/spaces", { token: admin, body: { name } });
  const people: [string, string, string | null][] = [
    ["viewer", "viewer", null],
    ["outsider", "developer", "other"],
    ["developer", "developer", "home"],
    ["owner", "developer", "home"],
  ];
  for (const [user, role_name, space] of people) {
    await call("POST", "/service-accounts", { token: admin, body: { user, pass: user } });
    const bound = await call("POST", "/role-bindings", { token: admin, body: { role_name, principal: user, space } });
    expect(bound.statusCode).toBe(201);
  }
  for (const name of ["viewer", "outsider", "developer"] as const) world.tokens[name] = await login(name, name);
  const { read } = identity.store;
  world.homeId = (await read.selectFrom("spaces").select("id").where("name", "=", "home").executeTakeFirstOrThrow()).id;
  const accounts = await read.selectFrom("accounts").select(["id", "user"]).execute();
  world.ownerId = accounts.find(({ user }) => user === "owner")?.id ?? "";
});

afterAll(() => world.plane.close());

test("every route of the contract has a row, and every route is served", () => {
  const listed = Object.keys(TABLE).map((name) => name.split("?")[0]);
  expect([...new Set(listed)].toSorted()).toEqual(Object.keys(ROUTES).toSorted());
  const served = world.plane.app.api.routes.flatMap(({ guard }) => ("route" in guard ? [guard.route] : []));
  expect([...new Set(served)].toSorted()).toEqual(Object.keys(ROUTES).toSorted());
});

describe.each(Object.entries(TABLE))("%s", (name, { expected, subject }) => {
  const definition: Route = ROUTES[name.split("?")[0] as RouteName];
  const methods: InjectOptions["method"][] =
    definition.method === "PUT" && definition.bytes !== true ? ["PUT", "PATCH"] : [definition.method as "GET"];

  test.each(CALLERS.map((caller, index) => [caller, expected[index]] as const))(
    "%s gets %i",
    async (caller, status) => {
      for (const method of methods) {
        const { body, path } = await (subject as Subject)(world);
        const used = name === "auth.logout" && caller !== "nobody" ? await throwAway(caller) : world.tokens[caller];
        const answer = await world.plane.call(method, path, { token: used, body });
        expect(`${answer.statusCode} ${answer.statusCode === status ? "" : answer.body}`).toBe(`${status} `);
        if (status === 404) expect(answer.json()).toMatchObject({ code: "not_found" });
      }
    },
  );
});

/** A token that may be revoked. */
async function throwAway(caller: CallerName): Promise<string> {
  const made = await world.plane.call("POST", "/auth/tokens", { token: world.tokens[caller], body: { name: "once" } });
  return made.json<{ token: string }>().token;
}

test("an owner may do with his session what his role alone would not let him", async () => {
  const { call, login } = world.plane;
  const owner = await login("owner", "owner");
  for (const [method, suffix] of [
    ["GET", ""],
    ["GET", "/events"],
    ["GET", "/messages"],
    ["DELETE", ""],
  ] as const) {
    const id = await world.session();
    expect((await call(method, `/sessions/${id}${suffix}`, { token: owner })).statusCode).toBeLessThan(300);
  }
});

test("what lies outside of /session needs files-any, of its owner too", async () => {
  const { call, login } = world.plane;
  const token = await login("owner", "owner");
  const id = await world.session("error");
  const status = async (path: string) => (await call("GET", `/sessions/${id}/files/${path}`, { token })).statusCode;
  expect(await Promise.all(["a", "%2Fsession%2Fa", "b/../a"].map(status))).toEqual([409, 409, 409]);
  expect(await Promise.all(["%2Fetc%2Fpasswd", "..%2Fetc%2Fpasswd", "%2e%2e%2fetc", "/etc"].map(status))).toEqual([
    403, 403, 403, 403,
  ]);
  const moved = await call("POST", `/sessions/${id}/files/a?move_to=/etc/a`, { token });
  expect(moved.statusCode).toBe(403);
});

test("paths outside of the API are no way around", async () => {
  const { app } = world.plane;
  for (const url of [`${API_BASE}//service-accounts`, `${API_BASE}/service-accounts/../roles`, "/service-accounts"]) {
    expect((await app.inject(url)).statusCode).toBeGreaterThanOrEqual(400);
  }
});
