import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ControlPlane, openControlPlane } from "../support/control-plane.ts";

let plane: ControlPlane;
let admin: string;

beforeAll(async () => {
  plane = await openControlPlane();
  admin = await plane.login("admin", "admin");
  for (const name of ["home", "other"]) await plane.call("POST", "/spaces", { token: admin, body: { name } });
});
afterAll(() => plane.close());

interface Made {
  readonly id: string;
  readonly token: string;
}
const make = (body: object, token = admin) => plane.call("POST", "/auth/tokens", { token, body });
const made = async (body: object, token = admin): Promise<Made> => {
  const answer = await make(body, token);
  expect(`${answer.statusCode} ${answer.statusCode === 201 ? "" : answer.body}`).toBe("201 ");
  return answer.json<Made>();
};
const problem = (answer: { statusCode: number; json(): { code: string } }) =>
  `${answer.statusCode} ${answer.json().code}`;
const status = async (method: "GET" | "POST" | "DELETE", path: string, token: string, body?: object) =>
  (await plane.call(method, path, { token, ...(body === undefined ? {} : { body }) })).statusCode;
const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();

test("the token itself is in the answer that makes it, and nowhere else", async () => {
  const { id, token, ...shown } = await made({ name: "ci" });
  expect(token).toMatch(/^raworc_[A-Za-z0-9_-]{43}$/);
  expect(shown).toMatchObject({ name: "ci", user: "admin", space: null, role: null, expires_at: null });
  const others = [
    await plane.call("GET", `/auth/tokens/${id}`, { token: admin }),
    await plane.call("GET", "/auth/tokens", { token: admin }),
    await plane.call("GET", "/audit-events?limit=1000", { token: admin }),
  ];
  for (const answer of others) expect(answer.body).not.toContain(token);
  expect(others[0]?.json()).toEqual({ id, ...shown });
  expect(plane.logLines.join("")).not.toContain(token);
  const rows = await plane.plainStore.read.selectFrom("api_tokens").selectAll().execute();
  expect(JSON.stringify(rows)).not.toContain(token);
  expect(await status("GET", "/auth/me", token)).toBe(200);
});

test("revoking one ends it at once, and only it", async () => {
  const [one, two] = [await made({ name: "one" }), await made({ name: "two" })];
  expect(await status("GET", "/auth/me", one.token)).toBe(200);
  expect(await status("DELETE", `/auth/tokens/${one.id}`, admin)).toBe(204);
  expect(await status("GET", "/auth/me", one.token)).toBe(401);
  expect(await status("GET", "/auth/me", two.token)).toBe(200);
  expect(await status("POST", "/auth/logout", two.token)).toBe(204);
  expect(await status("GET", "/auth/me", two.token)).toBe(401);
  expect(await status("GET", `/auth/tokens/${two.id}`, admin)).toBe(404);
});

test("one ends at its time", async () => {
  const { token } = await made({ name: "short", expires_at: new Date(Date.now() + 300).toISOString() });
  expect(await status("GET", "/auth/me", token)).toBe(200);
  await expect.poll(() => status("GET", "/auth/me", token), { timeout: 5000 }).toBe(401);
  expect(problem(await make({ name: "late", expires_at: "2020-01-01T00:00:00Z" }))).toBe("422 validation_failed");
});

describe("limits", () => {
  test("a space leaves nothing outside of it", async () => {
    const { token } = await made({ name: "home", space: "home" });
    expect(await status("GET", "/spaces/home/agents", token)).toBe(200);
    expect(await status("GET", "/spaces/other/agents", token)).toBe(404);
    expect(await status("GET", "/service-accounts", token)).toBe(403);
    expect(await status("POST", "/spaces", token, { name: "third" })).toBe(403);
    const spaces = await plane.call("GET", "/spaces", { token });
    expect(spaces.json<{ name: string }[]>().map(({ name }) => name)).toEqual(["home"]);
    expect((await plane.call("GET", "/auth/me", { token })).json()).toMatchObject({ user: "admin", space: "home" });
  });

  test("a role leaves what it has, as it is at the time of use", async () => {
    const rules = (...verbs: string[]) => [{ api_groups: ["api"], resources: ["spaces"], verbs }];
    await plane.call("POST", "/roles", { token: admin, body: { name: "lookup", rules: rules("get") } });
    const { token } = await made({ name: "reader", role: "lookup" });
    expect(await status("GET", "/spaces/home", token)).toBe(200);
    expect(await status("GET", "/spaces", token)).toBe(403);
    await plane.call("PUT", "/roles/lookup", { token: admin, body: { rules: rules("get", "list") } });
    expect(await status("GET", "/spaces", token)).toBe(200);
    expect(problem(await plane.call("DELETE", "/roles/lookup", { token: admin }))).toBe("409 in_use");
  });

  test("what the maker loses, the token loses", async () => {
    await plane.call("POST", "/service-accounts", { token: admin, body: { user: "maker", pass: "maker" } });
    const body = { role_name: "viewer", principal: "maker", space: "home" };
    const bound = await plane.call("POST", "/role-bindings", { token: admin, body });
    const { token } = await made({ name: "mine" }, await plane.login("maker", "maker"));
    expect(await status("GET", "/spaces/home", token)).toBe(200);
    await plane.call("DELETE", `/role-bindings/${bound.json<{ id: string }>().id}`, { token: admin });
    expect(await status("GET", "/spaces/home", token)).toBe(404);
  });

  test("a limited token makes none that is wider or lasts longer", async () => {
    const limited = await made({ name: "l", space: "home", role: "viewer", expires_at: inHours(2) });
    for (const wider of [{ space: null }, { space: "other" }, { role: null }, { role: "admin" }]) {
      const answer = await make({ name: "wider", ...wider }, limited.token);
      // The other space isn't there for it.
      expect(problem(answer)).toMatch(wider.space === "other" ? /^422/ : /^403/);
    }
    expect(problem(await make({ name: "longer", expires_at: inHours(3) }, limited.token))).toBe("403 forbidden");
    expect(problem(await make({ name: "endless", expires_at: null }, limited.token))).toBe("403 forbidden");
    const same = await make({ name: "same" }, limited.token);
    expect(same.json()).toMatchObject({ space: "home", role: "viewer", expires_at: expect.stringMatching(/Z$/) });
    expect((await make({ name: "shorter", expires_at: inHours(1) }, limited.token)).statusCode).toBe(201);
  });

  test("a limited token sees and ends only tokens within its limits", async () => {
    const wide = await made({ name: "wide" });
    const limited = await made({ name: "limited", space: "home" });
    const within = await made({ name: "within", space: "home", role: "viewer" });
    const list = await plane.call("GET", "/auth/tokens?limit=1000", { token: limited.token });
    const names = list.json<{ name: string; space: string | null }[]>();
    expect(names.map(({ name }) => name)).toContain("within");
    expect(new Set(names.map(({ space }) => space))).toEqual(new Set(["home"]));
    expect(await status("GET", `/auth/tokens/${wide.id}`, limited.token)).toBe(404);
    expect(await status("DELETE", `/auth/tokens/${wide.id}`, limited.token)).toBe(404);
    expect(await status("DELETE", `/auth/tokens/${within.id}`, limited.token)).toBe(204);
    expect(await status("GET", "/auth/me", wide.token)).toBe(200);
  });

  test("a token that is limited to a space goes with the space", async () => {
    await plane.call("POST", "/spaces", { token: admin, body: { name: "gone" } });
    const { token } = await made({ name: "g", space: "gone" });
    expect(await status("GET", "/auth/me", token)).toBe(200);
    await plane.call("DELETE", "/spaces/gone", { token: admin });
    expect(await status("GET", "/auth/me", token)).toBe(401);
  });

  test("unknown limits are 422", async () => {
    expect(problem(await make({ name: "x", space: "nowhere" }))).toBe("422 validation_failed");
    expect(problem(await make({ name: "x", role: "nothing" }))).toBe("422 validation_failed");
  });
});

test("others' tokens need a right that holds everywhere", async () => {
  for (const [user, role_name, space] of [
    ["plain", "developer", "home"],
    ["local", "admin", "home"],
  ] as const) {
    await plane.call("POST", "/service-accounts", { token: admin, body: { user, pass: user } });
    await plane.call("POST", "/role-bindings", { token: admin, body: { role_name, principal: user, space } });
  }
  const [plain, local] = [await plane.login("plain", "plain"), await plane.login("local", "local")];
  const { id } = await made({ name: "p" }, plain);
  expect(await status("GET", `/auth/tokens/${id}`, plain)).toBe(200);
  expect(await status("GET", `/auth/tokens/${id}`, local)).toBe(404);
  expect(await status("DELETE", `/auth/tokens/${id}`, local)).toBe(404);
  const list = await plane.call("GET", "/auth/tokens?user=plain", { token: admin });
  expect(list.json<{ id: string }[]>().map((token) => token.id)).toEqual([id]);
  expect(await status("DELETE", `/auth/tokens/${id}`, admin)).toBe(204);
});
