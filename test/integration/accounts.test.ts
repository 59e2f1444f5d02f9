import { API_BASE } from "@raworc/contract";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ControlPlane, openControlPlane } from "../support/control-plane.ts";

let plane: ControlPlane;
let admin: string;
let url: string;

beforeAll(async () => {
  plane = await openControlPlane();
  admin = await plane.login("admin", "admin");
  url = await plane.app.listen({ host: "127.0.0.1", port: 0 });
  for (const name of ["home", "other"]) await plane.call("POST", "/spaces", { token: admin, body: { name } });
});
afterAll(() => plane.close());

let count = 0;
/** A new account with roles: `developer@home`, `admin`. Its password is its name. */
async function person(...roles: string[]): Promise<{ user: string; token: string }> {
  count += 1;
  const user = `person${count}`;
  await plane.call("POST", "/service-accounts", { token: admin, body: { user, pass: user } });
  for (const role of roles) {
    const [role_name, space = null] = role.split("@");
    const bound = await plane.call("POST", "/role-bindings", {
      token: admin,
      body: { role_name, principal: user, space },
    });
    expect(bound.statusCode).toBe(201);
  }
  return { user, token: await plane.login(user, user) };
}

const me = async (token: string) => (await plane.call("GET", "/auth/me", { token })).statusCode;
const problem = (answer: { statusCode: number; json(): { code: string } }) =>
  `${answer.statusCode} ${answer.json().code}`;

/** An open event stream; resolves with what ends it. */
async function stream(token: string): Promise<{ ended: Promise<string> }> {
  const made = await plane.call("POST", "/sessions", { token, body: { space: "home" } });
  const { id } = made.json<{ id: string }>();
  const answer = await fetch(`${url}${API_BASE}/sessions/${id}/events`, {
    headers: { authorization: `Bearer ${token}`, accept: "text/event-stream" },
  });
  expect(answer.status).toBe(200);
  return { ended: answer.text() };
}

describe("what ends a token", () => {
  const ways: [string, (user: string, token: string) => Promise<unknown>][] = [
    ["logout", (_, token) => plane.call("POST", "/auth/logout", { token })],
    [
      "deactivation",
      (user) => plane.call("PUT", `/service-accounts/${user}`, { token: admin, body: { active: false } }),
    ],
    [
      "an admin's new password",
      (user) => plane.call("PUT", `/service-accounts/${user}/password`, { token: admin, body: { new_password: "n" } }),
    ],
    [
      "one's own new password",
      (user, token) =>
        plane.call("PUT", `/service-accounts/${user}/password`, {
          token,
          body: { current_password: user, new_password: "n" },
        }),
    ],
    ["deletion", (user) => plane.call("DELETE", `/service-accounts/${user}`, { token: admin })],
  ];

  test.each(ways)("%s ends it and the streams it has open, at once", async (_, end) => {
    const { token, user } = await person("developer@home");
    const { ended } = await stream(token);
    expect(await me(token)).toBe(200);
    await end(user, token);
    expect(await me(token)).toBe(401);
    expect(await ended).toContain("session.state");
  });

  test.each(ways.slice(1))("%s ends API tokens too", async (_, end) => {
    const { token, user } = await person("developer@home");
    const made = await plane.call("POST", "/auth/tokens", { token, body: { name: "long" } });
    const long = made.json<{ token: string }>().token;
    const { ended } = await stream(long);
    await end(user, token);
    expect(await me(long)).toBe(401);
    await ended;
  });

  test("a right that is taken away ends the streams that need it, and no others", async () => {
    const { token, user } = await person("developer@home", "viewer@other");
    const { ended } = await stream(token);
    const bindings = await plane.call("GET", `/role-bindings?principal=${user}`, { token: admin });
    const of = (role: string) =>
      bindings.json<{ id: string; role_name: string }[]>().find(({ role_name }) => role_name === role)?.id;
    let isOver = false;
    void ended.then(() => {
      isOver = true;
    });
    await plane.call("DELETE", `/role-bindings/${of("viewer")}`, { token: admin });
    await plane.call("GET", "/version");
    expect(isOver).toBe(false);
    await plane.call("DELETE", `/role-bindings/${of("developer")}`, { token: admin });
    await ended;
    expect(await me(token)).toBe(200);
  });

  test("activation and a later account of the same name wake nothing up", async () => {
    const { token, user } = await person("developer@home");
    const path = `/service-accounts/${user}`;
    await plane.call("PUT", path, { token: admin, body: { active: false } });
    await plane.call("PUT", path, { token: admin, body: { active: true } });
    expect(await me(token)).toBe(401);
    const second = await plane.login(user, user);
    await plane.call("DELETE", path, { token: admin });
    await plane.call("POST", "/service-accounts", { token: admin, body: { user, pass: user } });
    expect(await me(second)).toBe(401);
    const third = await plane.login(user, user);
    const seen = await plane.call("GET", "/auth/me", { token: third });
    expect(seen.json()).toMatchObject({ user, roles: [], permissions: [] });
  });

  test("a login whose password is changed while it is checked gives a token that is not good", async () => {
    const { user } = await person("developer@home");
    const { identity } = plane;
    const login = identity.login(user, user, { address: "127.0.0.1", requestId: "r" });
    // The account is read by now, and the slow hash runs: a change that is faster, since its hash is made already.
    const { updateAccount, findAccount } = await import("../../packages/server/src/store/accounts.ts");
    await new Promise((resolve) => setImmediate(resolve));
    await identity.access.change(async (transaction) => {
      const account = await findAccount(transaction, user);
      await updateAccount(transaction, account?.id ?? "", { passwordHash: account?.password_hash });
    });
    expect(await me((await login).token)).toBe(401);
  });

  test("another server's change is seen without being told", async () => {
    const { token, user } = await person();
    expect(await me(token)).toBe(200);
    const { updateAccount, findAccount } = await import("../../packages/server/src/store/accounts.ts");
    const { touchAccess } = await import("../../packages/server/src/store/access-version.ts");
    await plane.plainStore.write(async (transaction) => {
      await touchAccess(transaction);
      await updateAccount(transaction, (await findAccount(transaction, user))?.id ?? "", { active: false });
    });
    await expect.poll(() => me(token), { timeout: 5000 }).toBe(401);
  });
});

describe("passwords", () => {
  test("one's own needs the current one, also for an admin", async () => {
    const { token, user } = await person("admin");
    const change = (body: object) => plane.call("PUT", `/service-accounts/${user}/password`, { token, body });
    expect(problem(await change({ new_password: "n" }))).toBe("422 validation_failed");
    expect(problem(await change({ current_password: "wrong", new_password: "n" }))).toBe("403 forbidden");
    expect(await me(token)).toBe(200);
    const put = await plane.call("PUT", `/service-accounts/${user}`, { token, body: { pass: "n" } });
    expect(problem(put)).toBe("422 validation_failed");
    expect((await change({ current_password: user, new_password: "n" })).statusCode).toBe(204);
    expect(await me(await plane.login(user, "n"))).toBe(200);
  });

  test("nobody takes over an account with rights that he lacks", async () => {
    await plane.call("POST", "/roles", {
      token: admin,
      body: { name: "keeper", rules: [{ api_groups: ["api"], resources: ["service-accounts"], verbs: ["*"] }] },
    });
    const keeper = await person("keeper");
    const plain = await person();
    const mighty = await person("operator");
    const set = (user: string) =>
      plane.call("PUT", `/service-accounts/${user}/password`, { token: keeper.token, body: { new_password: "n" } });
    expect((await set(plain.user)).statusCode).toBe(204);
    expect(problem(await set(mighty.user))).toBe("403 forbidden");
    const put = await plane.call("PUT", `/service-accounts/${mighty.user}`, {
      token: keeper.token,
      body: { pass: "n" },
    });
    expect(problem(put)).toBe("403 forbidden");
    expect(await me(mighty.token)).toBe(200);
  });

  test("no answer, log line or audit event has a password or its hash", async () => {
    const pass = "canary-password-1234";
    const body = { user: "canary", pass };
    const answers = [
      await plane.call("POST", "/service-accounts", { token: admin, body }),
      await plane.call("PUT", "/service-accounts/canary", { token: admin, body: { pass: `${pass}2` } }),
      await plane.call("POST", "/auth/login", { body: { user: "canary", pass: `${pass}wrong` } }),
      await plane.call("POST", "/auth/login", { body: { user: pass.padEnd(65, "!"), pass } }),
      await plane.call("POST", "/service-accounts", { token: admin, body: { ...body, user: "canary2", extra: pass } }),
      await plane.call("GET", "/service-accounts/canary", { token: admin }),
      await plane.call("GET", "/audit-events?limit=1000", { token: admin }),
    ];
    const told = [...answers.map((answer) => answer.body), ...plane.logLines].join("\n");
    expect(told).not.toContain(pass);
    expect(told).not.toContain("argon2id");
  });
});

describe("login", () => {
  test("tells nothing about what was wrong", async () => {
    const { user } = await person();
    const path = `/service-accounts/${user}`;
    await plane.call("PUT", path, { token: admin, body: { active: false } });
    const tries = [
      { user, pass: user },
      { user: "nobody-of-this-name", pass: "x" },
      { user: "admin", pass: "wrong" },
    ];
    const answers = await Promise.all(tries.map((body) => plane.call("POST", "/auth/login", { body })));
    expect(new Set(answers.map((answer) => answer.body)).size).toBe(1);
    expect(answers.map(problem)).toEqual(Array(3).fill("401 bad_credentials"));
  });

  test("an answer has the token, its end and its user", async () => {
    const answer = await plane.call("POST", "/auth/login", { body: { user: "admin", pass: "admin" } });
    expect(answer.json()).toEqual({
      token: expect.stringMatching(/^ey/),
      token_type: "Bearer",
      expires_at: expect.stringMatching(/Z$/),
      user: "admin",
    });
  });
});

describe("the last admin", () => {
  /** The ids of all bindings to admin that hold everywhere. */
  const bindings = async () =>
    (await plane.call("GET", "/role-bindings?role_name=admin&limit=1000", { token: admin }))
      .json<{ id: string; principal: string; space: string | null }[]>()
      .filter(({ space }) => space === null);

  test("can't be deleted, deactivated or unbound, and can be once there is another", async () => {
    for (const { id, principal } of await bindings()) {
      if (principal !== "admin") await plane.call("DELETE", `/role-bindings/${id}`, { token: admin });
    }
    const [last] = await bindings();
    const tries = [
      await plane.call("DELETE", "/service-accounts/admin", { token: admin }),
      await plane.call("PUT", "/service-accounts/admin", { token: admin, body: { active: false } }),
      await plane.call("DELETE", `/role-bindings/${last?.id}`, { token: admin }),
    ];
    expect(tries.map(problem)).toEqual(Array(3).fill("409 last_admin"));
    // Neither somebody inactive, nor somebody who administers one space, is another admin.
    const asleep = await person("admin");
    await plane.call("PUT", `/service-accounts/${asleep.user}`, { token: admin, body: { active: false } });
    await person("admin@home");
    const again = await plane.call("PUT", "/service-accounts/admin", { token: admin, body: { active: false } });
    expect(problem(again)).toBe("409 last_admin");
    await plane.call("PUT", `/service-accounts/${asleep.user}`, { token: admin, body: { active: true } });
    const second = await plane.login(asleep.user, asleep.user);
    const off = await plane.call("PUT", "/service-accounts/admin", { token: second, body: { active: false } });
    expect(off.statusCode).toBe(200);
    await plane.call("PUT", "/service-accounts/admin", { token: second, body: { active: true } });
    admin = await plane.login("admin", "admin");
  });

  test("of admins who remove each other at once, one stays", async () => {
    const others = await Promise.all([person("admin"), person("admin"), person("admin")]);
    const all = [{ user: "admin", token: admin }, ...others];
    const everybody = (await bindings()).map(({ principal }) => principal);
    for (const principal of everybody) {
      if (!all.some(({ user }) => user === principal)) {
        await plane.call("DELETE", `/service-accounts/${principal}`, { token: admin });
      }
    }
    const answers = await Promise.all(
      all.map(({ user, token }) => plane.call("PUT", `/service-accounts/${user}`, { token, body: { active: false } })),
    );
    expect(answers.filter(({ statusCode }) => statusCode === 200)).toHaveLength(3);
    expect(answers.filter(({ statusCode }) => statusCode !== 200).map(problem)).toEqual(["409 last_admin"]);
    const left = all[answers.findIndex(({ statusCode }) => statusCode !== 200)];
    const token = left === undefined ? "" : await plane.login(left.user, left.user === "admin" ? "admin" : left.user);
    await plane.call("PUT", "/service-accounts/admin", { token, body: { active: true } });
    admin = await plane.login("admin", "admin");
  });
});

test("lists are newest first, page by cursor, and filter", async () => {
  for (let index = 0; index < 3; index += 1) await person();
  const seen: string[] = [];
  let path: string | undefined = "/service-accounts?limit=4";
  while (path !== undefined) {
    const answer = await plane.call("GET", path, { token: admin });
    const page = answer.json<{ user: string; created_at: string }[]>();
    seen.push(...page.map(({ created_at, user }) => `${created_at} ${user}`));
    path = /<\/api\/v0([^>]+)>; rel="next"/.exec(String(answer.headers["link"] ?? ""))?.[1];
  }
  const whole = await plane.call("GET", "/service-accounts?limit=1000", { token: admin });
  expect(seen).toEqual(
    whole.json<{ user: string; created_at: string }[]>().map(({ created_at, user }) => `${created_at} ${user}`),
  );
  expect(seen.map((line) => line.slice(0, 24))).toEqual(
    seen
      .map((line) => line.slice(0, 24))
      .toSorted()
      .toReversed(),
  );
  const junk = await plane.call("GET", "/service-accounts?cursor=junk", { token: admin });
  expect(problem(junk)).toBe("422 validation_failed");
});

describe("If-Match", () => {
  test("holds back a change of what has changed, and lets one of two through", async () => {
    const { user } = await person();
    const path = `/service-accounts/${user}`;
    const { etag } = (await plane.call("GET", path, { token: admin })).headers;
    expect(etag).toMatch(/^".+"$/);
    const change = (description: string) =>
      plane.call("PUT", path, { token: admin, body: { description }, headers: { "if-match": String(etag) } });
    const answers = await Promise.all([change("one"), change("two")]);
    expect(answers.map(({ statusCode }) => statusCode).toSorted()).toEqual([200, 412]);
    const gone = await plane.call("DELETE", path, { token: admin, headers: { "if-match": String(etag) } });
    expect(problem(gone)).toBe("412 precondition_failed");
    const now = answers.find(({ statusCode }) => statusCode === 200)?.headers["etag"];
    const done = await plane.call("DELETE", path, { token: admin, headers: { "if-match": `"x", ${now}` } });
    expect(done.statusCode).toBe(204);
  });

  test("is asked by every route that changes an object", async () => {
    const stale = { "if-match": '"stale"' };
    const { user } = await person();
    const bound = await person("viewer@home");
    const create = async (path: string, body: object, key: string) =>
      (await plane.call("POST", path, { token: admin, body })).json<Record<string, string>>()[key];
    await create("/spaces/home/agents", { name: "agent", source_repo: "a/b" }, "name");
    await create("/spaces/home/secrets", { key_name: "SECRET", value: "v" }, "key_name");
    await create("/roles", { name: "stale", rules: [] }, "name");
    const session = await create("/sessions", { space: "home" }, "id");
    const token = await create("/auth/tokens", { name: "t" }, "id");
    const listed = await plane.call("GET", `/role-bindings?principal=${bound.user}`, { token: admin });
    const [binding] = listed.json<{ id: string }[]>();
    const paths: [string, object | undefined][] = [
      [`/service-accounts/${user}/password`, { new_password: "x" }],
      [`/service-accounts/${user}`, { description: "x" }],
      ["/roles/stale", { description: "x" }],
      [`/role-bindings/${binding?.id}`, undefined],
      [`/auth/tokens/${token}`, undefined],
      ["/spaces/other", { description: "x" }],
      ["/spaces/home/secrets/SECRET", { value: "x" }],
      ["/spaces/home/agents/agent", { purpose: "x" }],
      [`/sessions/${session}`, { name: "x" }],
    ];
    for (const [path, body] of paths) {
      const methods = [
        ...(body === undefined ? [] : ["PUT" as const]),
        ...(path.endsWith("/password") ? [] : ["DELETE" as const]),
      ];
      for (const method of methods) {
        const answer = await plane.call(method, path, {
          token: admin,
          headers: stale,
          ...(method === "PUT" ? { body } : {}),
        });
        expect(`${method} ${path} ${answer.statusCode}`).toBe(`${method} ${path} 412`);
        const any = { token: admin, headers: { "if-match": "*" }, ...(method === "PUT" ? { body } : {}) };
        expect((await plane.call(method, path, any)).statusCode).toBeLessThan(300);
      }
    }
  });
});
