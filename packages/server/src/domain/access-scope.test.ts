import type { Rule } from "@raworc/contract";
import { describe, expect, test } from "vitest";
import type { Binding, Principal } from "./access.ts";
import {
  coversEverything,
  inScope,
  limitPrincipal,
  listScope,
  permissionsOf,
  sessionScope,
  visibleSpaces,
} from "./access-scope.ts";
import { BUILT_IN_ROLES } from "./built-in-roles.ts";

const person = (...bindings: Binding[]): Principal => ({ id: "me", name: "me", bindings });
const bound = (spaceId: string | null, ...rules: Partial<Rule>[]): Binding => ({
  role: "custom",
  rules: rules.map((rule) => ({ api_groups: ["api"], resources: ["*"], verbs: ["*"], ...rule })),
  spaceId,
});
const builtIn = (role: string, spaceId: string | null): Binding => ({
  role,
  rules: BUILT_IN_ROLES.find((candidate) => candidate.name === role)?.rules ?? [],
  spaceId,
});

describe("visible spaces", () => {
  test("all for a binding everywhere, its own for a binding to one space, none without one", () => {
    expect(coversEverything(visibleSpaces(person(builtIn("viewer", null))))).toBe(true);
    const scope = visibleSpaces(person(builtIn("developer", "s1"), builtIn("viewer", "s2")));
    expect(["s1", "s2", "s3"].map((spaceId) => inScope(scope, { spaceId, name: "x" }))).toEqual([true, true, false]);
    expect(visibleSpaces(person())).toEqual([]);
    expect(visibleSpaces(person(bound("s1", { resources: ["agents"] })))).toEqual([]);
  });

  test("only the named ones where the rule names some", () => {
    const scope = visibleSpaces(person(bound(null, { resources: ["spaces"], resource_names: ["dev"] })));
    expect(inScope(scope, { spaceId: "s1", name: "dev" })).toBe(true);
    expect(inScope(scope, { spaceId: "s2", name: "prod" })).toBe(false);
  });
});

test("a binding to one space gives no rows of global resources", () => {
  const admin = person(builtIn("admin", "s1"));
  expect(listScope(admin, "list", "service-accounts")).toEqual([]);
  expect(listScope(admin, "list", "role-bindings")).toEqual([{ spaceId: "s1" }]);
});

describe("session lists", () => {
  const shown = (principal: Principal, row: { spaceId: string; ownerId: string; name?: string }) =>
    inScope(sessionScope(principal), { name: "session", ...row });

  test("one's own without list-all, everyone's with it", () => {
    const developer = person(builtIn("developer", "s1"));
    expect(shown(developer, { spaceId: "s1", ownerId: "me" })).toBe(true);
    expect(shown(developer, { spaceId: "s1", ownerId: "you" })).toBe(false);
    expect(shown(developer, { spaceId: "s2", ownerId: "me" })).toBe(false);
    const viewer = person(builtIn("viewer", "s1"));
    expect(shown(viewer, { spaceId: "s1", ownerId: "you" })).toBe(true);
    expect(shown(viewer, { spaceId: "s2", ownerId: "you" })).toBe(false);
    expect(coversEverything(sessionScope(person(builtIn("admin", null))))).toBe(true);
    expect(sessionScope(person())).toEqual([]);
  });

  test("list and list-all must meet in the same space and on the same name", () => {
    const split = person(bound("s1", { verbs: ["list"] }), bound("s2", { verbs: ["list-all"] }));
    expect(shown(split, { spaceId: "s1", ownerId: "you" })).toBe(false);
    expect(shown(split, { spaceId: "s2", ownerId: "you" })).toBe(false);
    const named = person(
      bound(null, { verbs: ["list"], resource_names: ["a", "b"] }),
      bound("s1", { verbs: ["list-all"], resource_names: ["b"] }),
    );
    expect(shown(named, { spaceId: "s1", ownerId: "you", name: "b" })).toBe(true);
    expect(shown(named, { spaceId: "s2", ownerId: "you", name: "b" })).toBe(false);
    expect(shown(named, { spaceId: "s1", ownerId: "you", name: "a" })).toBe(false);
    expect(shown(named, { spaceId: "s2", ownerId: "me", name: "a" })).toBe(true);
  });
});

test("permissions name the space of each rule and leave out spaces that are gone", () => {
  const principal = person(builtIn("operator", null), builtIn("developer", "s1"), builtIn("viewer", "gone"));
  const permissions = permissionsOf(principal, new Map([["s1", "home"]]));
  expect(new Set(permissions.map((permission) => permission.space))).toEqual(new Set([null, "home"]));
  const limited = permissionsOf(limitPrincipal(principal, { spaceId: "s1" }), new Map([["s1", "home"]]));
  expect(limited.every((permission) => permission.space === "home")).toBe(true);
  expect(limited).toContainEqual({
    space: "home",
    api_groups: ["api"],
    resources: ["spaces", "agents"],
    verbs: ["list", "get"],
  });
});
