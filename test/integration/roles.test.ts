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

const rule = (resources: string[], verbs: string[], resource_names?: string[]) => ({
  api_groups: ["api"],
  resources,
  verbs,
  ...(resource_names === undefined ? {} : { resource_names }),
});
const problem = (answer: { statusCode: number; json(): { code: string } }) =>
  `${answer.statusCode} ${answer.json().code}`;
const post = (path: string, body: unknown, token = admin) => plane.call("POST", path, { token, body });
const bind = (role_name: string, principal: string, space: string | null, token = admin) =>
  post("/role-bindings", { role_name, principal, space }, token);

let count = 0;
async function person(...roles: [string, string | null][]): Promise<{ user: string; token: string }> {
  count += 1;
  const user = `person${count}`;
  await post("/service-accounts", { user, pass: user });
  for (const [role, space] of roles) expect((await bind(role, user, space)).statusCode).toBe(201);
  return { user, token: await plane.login(user, user) };
}

describe("roles", () => {
  test("have the shape that scripts know, and are replaced field by field", async () => {
    const role = { name: "deployer", description: "Deploys", rules: [rule(["builds"], ["create"])] };
    const made = await post("/roles", role);
    expect(made.statusCode).toBe(201);
    expect(made.json()).toMatchObject({ ...role, built_in: false });
    const put = await plane.call("PUT", "/roles/deployer", { token: admin, body: { description: "D" } });
    expect(put.json()).toMatchObject({ ...role, description: "D" });
    expect(problem(await post("/roles", role))).toBe("409 name_taken");
    const renamed = await plane.call("PUT", "/roles/deployer", { token: admin, body: { name: "other" } });
    expect(problem(renamed)).toBe("422 validation_failed");
  });

  test.each([
    ["an unknown resource", { rules: [rule(["agent"], ["get"])] }],
    ["an unknown verb", { rules: [rule(["agents"], ["watch"])] }],
    ["a rule without verbs", { rules: [rule(["agents"], [])] }],
    ["a field too many", { rules: [{ ...rule(["agents"], ["get"]), scope: "all" }] }],
    ["a name that is none", { name: "a b", rules: [] }],
  ])("%s is 422", async (_, body) => {
    expect(problem(await post("/roles", { name: "wrong", ...body }))).toBe("422 validation_failed");
  });

  test("built-in ones can't be changed, bound ones can't be deleted", async () => {
    for (const name of ["admin", "operator", "developer", "viewer"]) {
      const answers = [
        await plane.call("PUT", `/roles/${name}`, { token: admin, body: { rules: [] } }),
        await plane.call("DELETE", `/roles/${name}`, { token: admin }),
      ];
      expect(answers.map(problem)).toEqual(["409 built_in_role", "409 built_in_role"]);
    }
    await post("/roles", { name: "bound", rules: [] });
    const { user } = await person(["bound", "home"]);
    expect(problem(await plane.call("DELETE", "/roles/bound", { token: admin }))).toBe("409 in_use");
    await plane.call("DELETE", `/service-accounts/${user}`, { token: admin });
    expect((await plane.call("DELETE", "/roles/bound", { token: admin })).statusCode).toBe(204);
  });

  test("a change holds for those who are bound, at once", async () => {
    await post("/roles", { name: "narrow", rules: [rule(["agents", "spaces"], ["list", "get"])] });
    const { token } = await person(["narrow", "home"]);
    const secrets = () => plane.call("GET", "/spaces/home/secrets", { token });
    expect((await secrets()).statusCode).toBe(403);
    const rules = [rule(["agents", "spaces", "space-secrets"], ["list", "get"])];
    await plane.call("PUT", "/roles/narrow", { token: admin, body: { rules } });
    expect((await secrets()).statusCode).toBe(200);
  });
});

describe("nobody gives what he lacks", () => {
  test("writing a role needs its rights, everywhere", async () => {
    await post("/roles", { name: "role-writer", rules: [rule(["roles"], ["*"]), rule(["agents"], ["get"])] });
    const { token } = await person(["role-writer", null]);
    const write = (name: string, ...rules: object[]) => post("/roles", { name, rules }, token);
    expect((await write("w1", rule(["agents"], ["get"]))).statusCode).toBe(201);
    expect(problem(await write("w2", rule(["agents"], ["get", "delete"])))).toBe("403 forbidden");
    expect(problem(await write("w3", rule(["*"], ["get"])))).toBe("403 forbidden");
    const put = { rules: [rule(["secrets"], ["read-values"])] };
    expect(problem(await plane.call("PUT", "/roles/w1", { token, body: put }))).toBe("403 forbidden");
  });

  test("binding needs the role's rights where it is bound", async () => {
    const keeper = await person(["admin", "home"]);
    const guest = await person(["viewer", "home"]);
    const give = (role: string, space: string | null) => bind(role, guest.user, space, keeper.token);
    expect((await give("developer", "home")).statusCode).toBe(201);
    expect((await give("admin", "home")).statusCode).toBe(201);
    expect(problem(await give("developer", null))).toBe("403 forbidden");
    // The other space isn't there for him.
    expect(problem(await give("developer", "other"))).toBe("422 validation_failed");
    const limited = await person(["operator", "home"]);
    expect(problem(await bind("operator", guest.user, "home", limited.token))).toBe("403 forbidden");
  });

  test("who may bind still can't bind more than he has", async () => {
    await post("/roles", { name: "binder", rules: [rule(["role-bindings"], ["*"]), rule(["spaces"], ["get"])] });
    const binder = await person(["binder", "home"]);
    expect((await bind("binder", binder.user, "home", binder.token)).statusCode).toBe(409);
    expect(problem(await bind("viewer", binder.user, "home", binder.token))).toBe("403 forbidden");
    expect(problem(await bind("admin", binder.user, "home", binder.token))).toBe("403 forbidden");
  });
});

describe("bindings", () => {
  test("have the shape that scripts know", async () => {
    const { user } = await person();
    const made = await bind("viewer", user, "home");
    const binding = { role_name: "viewer", principal: user, principal_type: "ServiceAccount", space: "home" };
    expect(made.json()).toMatchObject(binding);
    const { id } = made.json<{ id: string }>();
    expect((await plane.call("GET", `/role-bindings/${id}`, { token: admin })).json()).toEqual(made.json());
    expect(problem(await bind("viewer", user, "home"))).toBe("409 conflict");
    expect((await plane.call("DELETE", `/role-bindings/${id}`, { token: admin })).statusCode).toBe(204);
    expect(problem(await plane.call("DELETE", `/role-bindings/${id}`, { token: admin }))).toBe("404 not_found");
  });

  test("a role, principal or space that isn't there is 422 and named", async () => {
    const { user } = await person();
    const fields = async (...given: Parameters<typeof bind>) => {
      const answer = await bind(...given);
      expect(answer.statusCode).toBe(422);
      return answer.json<{ errors: { path: string }[] }>().errors.map(({ path }) => path);
    };
    expect(await fields("nothing", "nobody", null)).toEqual(["body.role_name", "body.principal"]);
    expect(await fields("viewer", user, "nowhere")).toEqual(["body.space"]);
  });

  test("hidden and absent principals and roles look alike", async () => {
    await post("/roles", { name: "hidden-role", rules: [] });
    const stranger = await person();
    const keeper = await person(["admin", "home"]);
    const told = async (role: string, user: string) => {
      const answer = await bind(role, user, "home", keeper.token);
      return answer.body.replaceAll(user, "NAME").replaceAll(role, "ROLE");
    };
    expect(await told("viewer", stranger.user)).toBe(await told("viewer", "nobody-at-all"));
    expect(await told("hidden-role", keeper.user)).toBe(await told("absent-role", keeper.user));
  });

  test("a binding to a space shows that space's bindings, and nothing global", async () => {
    const keeper = await person(["admin", "home"]);
    await person(["viewer", "other"]);
    const list = await plane.call("GET", "/role-bindings?limit=1000", { token: keeper.token });
    const spaces = list.json<{ space: string | null }[]>().map(({ space }) => space);
    expect(new Set(spaces)).toEqual(new Set(["home"]));
    for (const path of ["/service-accounts", "/roles"]) {
      expect((await plane.call("GET", path, { token: keeper.token })).statusCode).toBe(403);
    }
    const events = await plane.call("GET", "/audit-events?limit=1000", { token: keeper.token });
    expect(new Set(events.json<{ space: string | null }[]>().map(({ space }) => space))).toEqual(new Set(["home"]));
  });

  test("names narrow what is shown and what may be made", async () => {
    await post("/roles", {
      name: "one-agent",
      rules: [rule(["spaces"], ["list", "get"]), rule(["agents"], ["list", "get", "create"], ["mine"])],
    });
    const { token } = await person(["one-agent", "home"]);
    for (const name of ["mine", "yours"]) await post("/spaces/home/agents", { name, source_repo: "a/b" });
    const list = await plane.call("GET", "/spaces/home/agents", { token });
    expect(list.json<{ name: string }[]>().map(({ name }) => name)).toEqual(["mine"]);
    expect((await plane.call("GET", "/spaces/home/agents/yours", { token })).statusCode).toBe(404);
    const make = (name: string) => post("/spaces/home/agents", { name, source_repo: "a/b" }, token);
    expect(problem(await make("third"))).toBe("403 forbidden");
    expect(problem(await make("mine"))).toBe("409 name_taken");
  });
});
