import { isRaworcError, RESOURCES, type Resource, type Rule, VERBS, type Verb } from "@raworc/contract";
import { describe, expect, test } from "vitest";
import { allows, authorize, type Binding, decide, type Principal, type Target } from "./access.ts";
import { limitPrincipal } from "./access-scope.ts";
import { BUILT_IN_ROLES } from "./built-in-roles.ts";

const HOME = { id: "space-1", name: "home" };
const OTHER = { id: "space-2", name: "other" };

function builtIn(role: string, spaceId: string | null): Binding {
  const found = BUILT_IN_ROLES.find((candidate) => candidate.name === role);
  if (found === undefined) throw new Error(`no role ${role}`);
  return { role, rules: found.rules, spaceId };
}

function withRules(rules: Partial<Rule>[], spaceId: string | null = null): Principal {
  const whole = rules.map((rule) => ({ api_groups: ["api"], resources: ["*"], verbs: ["*"], ...rule }));
  return { id: "me", name: "me", bindings: [{ role: "custom", rules: whole, spaceId }] };
}

const person = (...bindings: Binding[]): Principal => ({ id: "me", name: "me", bindings });

describe("built-in roles", () => {
  const SESSION = ["sessions", "session-messages", "session-files", "session-exec"] as const;
  const CRUD: Verb[] = ["list", "get", "create", "update", "delete"];
  const each = (resources: readonly Resource[], verbs: readonly Verb[]) =>
    resources.flatMap((resource) => verbs.map((verb) => `${resource}/${verb}`));
  const expected: Record<string, string[]> = {
    admin: each(RESOURCES, VERBS),
    operator: [...each([...SESSION, "secrets", "builds"], VERBS), ...each(["spaces", "agents"], ["list", "get"])],
    developer: [
      ...each(["spaces"], ["list", "get"]),
      ...each(["agents", "builds", "secrets"], CRUD),
      ...each(SESSION, [...CRUD, "exec"]),
    ],
    viewer: each(
      RESOURCES.filter((resource) => resource !== "session-files" && resource !== "session-exec"),
      ["list", "get", "list-all"],
    ),
  };
  test.each(BUILT_IN_ROLES.map((role) => role.name))("%s has exactly its rights in its space", (role) => {
    const principal = person(builtIn(role, null));
    const rights = each(RESOURCES, VERBS).filter((right) => {
      const [resource, verb] = right.split("/") as [Resource, Verb];
      return allows(principal, verb, resource, { space: HOME });
    });
    expect(rights.toSorted()).toEqual(expected[role]?.toSorted());
  });
});

describe("bindings", () => {
  const GLOBAL: Target = { space: null };
  test("nothing bound is nothing allowed", () => {
    for (const resource of RESOURCES) {
      for (const verb of VERBS) expect(allows(person(), verb, resource, { space: HOME })).toBe(false);
    }
  });

  test("a binding to one space reaches that space alone", () => {
    const admin = person(builtIn("admin", HOME.id));
    expect(allows(admin, "delete", "agents", { space: HOME, name: "a" })).toBe(true);
    expect(allows(admin, "delete", "agents", { space: OTHER, name: "a" })).toBe(false);
    expect(allows(admin, "create", "spaces", GLOBAL)).toBe(false);
  });

  test.each(["service-accounts", "roles", "tokens"] as const)(
    "a binding to one space gives nothing on %s",
    (resource) => {
      const admin = person(builtIn("admin", HOME.id));
      for (const verb of VERBS) {
        expect(allows(admin, verb, resource, GLOBAL)).toBe(false);
        expect(allows(admin, verb, resource, { space: "any" })).toBe(false);
        expect(allows(admin, verb, resource, { space: HOME, name: "x" })).toBe(false);
      }
      expect(allows(person(builtIn("admin", null)), "list", resource, GLOBAL)).toBe(true);
    },
  );

  test("bindings and audit events of a space can be listed with a binding to it", () => {
    const admin = person(builtIn("admin", HOME.id));
    expect(allows(admin, "list", "role-bindings", { space: "any" })).toBe(true);
    expect(allows(admin, "list", "audit-events", { space: "any" })).toBe(true);
    expect(allows(admin, "list", "audit-events", GLOBAL)).toBe(false);
  });

  test("several bindings add up", () => {
    const both = person(builtIn("viewer", null), builtIn("developer", HOME.id));
    expect(allows(both, "create", "agents", { space: HOME })).toBe(true);
    expect(allows(both, "create", "agents", { space: OTHER })).toBe(false);
    expect(allows(both, "get", "agents", { space: OTHER, name: "a" })).toBe(true);
  });
});

describe("rules", () => {
  const agent = (name?: string): Target => ({ space: HOME, name });

  test.each([
    ["another group", { api_groups: ["apps"] }, false],
    ["every group", { api_groups: ["*"] }, true],
    ["its resource", { resources: ["agents"] }, true],
    ["another resource", { resources: ["builds"] }, false],
    ["its verb", { verbs: ["get"] }, true],
    ["another verb", { verbs: ["list"] }, false],
    ["its name", { resource_names: ["a"] }, true],
    ["another name", { resource_names: ["b"] }, false],
    ["every name", { resource_names: ["*"] }, true],
    ["an empty list of names", { resource_names: [] }, true],
  ])("a rule with %s", (_, rule, allowed) => {
    expect(allows(withRules([rule]), "get", "agents", agent("a"))).toBe(allowed);
  });

  test("space-secrets and space-builds are the same as secrets and builds", () => {
    const principal = withRules([{ resources: ["space-secrets", "space-builds"] }]);
    expect(allows(principal, "get", "secrets", agent("KEY"))).toBe(true);
    expect(allows(principal, "create", "builds", { space: HOME })).toBe(true);
    expect(allows(principal, "get", "agents", agent("a"))).toBe(false);
  });

  test("names narrow a create by the name in the body, and a list not at all", () => {
    const principal = withRules([{ resource_names: ["a"] }]);
    expect(allows(principal, "create", "agents", agent("a"))).toBe(true);
    expect(allows(principal, "create", "agents", agent("b"))).toBe(false);
    expect(allows(principal, "create", "agents", { space: HOME })).toBe(false);
    expect(allows(principal, "list", "agents", { space: HOME })).toBe(true);
  });

  test("one rule's verbs do not leak to another rule's resources", () => {
    const principal = withRules([
      { resources: ["agents"], verbs: ["get"] },
      { resources: ["secrets"], verbs: ["delete"] },
    ]);
    expect(allows(principal, "delete", "agents", agent("a"))).toBe(false);
    expect(allows(principal, "get", "secrets", agent("K"))).toBe(false);
  });
});

describe("sessions", () => {
  const mine: Target = { space: HOME, name: "session-1", ownerId: "me" };
  const theirs: Target = { space: HOME, name: "session-2", ownerId: "you" };
  const onlySees = withRules([{ resources: ["spaces"], verbs: ["get"] }], HOME.id);

  test("the creator may do everything but files-any while he sees the space", () => {
    for (const resource of ["sessions", "session-messages", "session-files", "session-exec"] as const) {
      for (const verb of VERBS) expect(allows(onlySees, verb, resource, mine)).toBe(verb !== "files-any");
    }
    expect(allows(person(), "get", "sessions", mine)).toBe(false);
    expect(allows(withRules([{}], OTHER.id), "get", "sessions", mine)).toBe(false);
  });

  test("opening a session needs the right even for somebody who sees the space", () => {
    expect(allows(onlySees, "create", "sessions", { space: HOME })).toBe(false);
  });

  test("another's session needs list-all beside the right", () => {
    const developer = person(builtIn("developer", HOME.id));
    expect(decide(developer, "get", "sessions", theirs)).toBe("hidden");
    expect(decide(developer, "create", "session-messages", theirs)).toBe("hidden");
    const viewer = person(builtIn("viewer", HOME.id));
    expect(decide(viewer, "get", "sessions", theirs)).toBe("allowed");
    expect(decide(viewer, "list", "session-messages", theirs)).toBe("allowed");
    expect(decide(viewer, "create", "session-messages", theirs)).toBe("forbidden");
    expect(decide(viewer, "exec", "session-exec", theirs)).toBe("forbidden");
    expect(decide(viewer, "get", "session-files", theirs)).toBe("forbidden");
    expect(decide(person(builtIn("operator", HOME.id)), "files-any", "session-files", theirs)).toBe("allowed");
  });

  test("a session whose owner is not told counts as another's", () => {
    const developer = person(builtIn("developer", HOME.id));
    expect(allows(developer, "get", "sessions", { space: HOME, name: "session-1" })).toBe(false);
  });

  test("an account that took a deleted one's name is not the owner", () => {
    const namesake: Principal = { ...onlySees, id: "new", name: "me" };
    expect(allows(namesake, "get", "sessions", mine)).toBe(false);
  });
});

describe("refusals", () => {
  const developer = person(builtIn("developer", HOME.id));
  const cases: [string, Verb, Resource, Target, string][] = [
    ["a closed global collection", "list", "roles", { space: null }, "forbidden"],
    ["an object in a closed global collection", "get", "roles", { space: null, name: "admin" }, "hidden"],
    ["a collection in a visible space", "list", "role-bindings", { space: HOME }, "forbidden"],
    ["a collection in another space", "list", "agents", { space: OTHER }, "hidden"],
    [
      "a new object in a closed global collection",
      "create",
      "roles",
      { space: null, name: "x", isNew: true },
      "forbidden",
    ],
    [
      "a new object in a visible space",
      "create",
      "role-bindings",
      { space: HOME, name: "x", isNew: true },
      "forbidden",
    ],
    ["a new object in another space", "create", "agents", { space: OTHER, name: "x", isNew: true }, "hidden"],
    ["an object that can be read", "delete", "spaces", { space: HOME, name: "home" }, "forbidden"],
    ["an object that can't be read", "delete", "spaces", { space: OTHER, name: "other" }, "hidden"],
    ["an object in another space", "delete", "agents", { space: OTHER, name: "a" }, "hidden"],
  ];
  test.each(cases)("%s", (_, verb, resource, target, decision) => {
    expect(decide(developer, verb, resource, target)).toBe(decision);
  });

  test("authorize throws 403 with what is missing, and the same 404 for hidden and absent", () => {
    const refusal = (verb: Verb, resource: Resource, target: Target): unknown => {
      try {
        authorize(developer, verb, resource, target);
        return undefined;
      } catch (error) {
        return error;
      }
    };
    expect(refusal("list", "agents", { space: HOME })).toBeUndefined();
    const forbidden = refusal("delete", "spaces", { space: HOME, name: "home" });
    expect(isRaworcError(forbidden, "forbidden") && forbidden.message).toMatch(/delete on spaces in the space home/);
    const hidden = refusal("get", "agents", { space: OTHER, name: "a" });
    expect(isRaworcError(hidden, "not_found") && hidden.message).not.toMatch(/other/);
  });
});

describe("limited tokens", () => {
  const admin = person(builtIn("admin", null));
  const viewerRules = builtIn("viewer", null).rules;

  test("a limit to a space leaves nothing elsewhere and nothing global", () => {
    const limited = limitPrincipal(admin, { spaceId: HOME.id });
    expect(allows(limited, "delete", "agents", { space: HOME, name: "a" })).toBe(true);
    expect(allows(limited, "delete", "agents", { space: OTHER, name: "a" })).toBe(false);
    expect(allows(limited, "list", "roles", { space: null })).toBe(false);
    expect(limitPrincipal(person(builtIn("admin", OTHER.id)), { spaceId: HOME.id }).bindings).toEqual([]);
  });

  test("a limit to a role gives what both have", () => {
    const limited = limitPrincipal(person(builtIn("developer", HOME.id)), { rules: viewerRules });
    expect(allows(limited, "get", "agents", { space: HOME, name: "a" })).toBe(true);
    expect(allows(limited, "create", "agents", { space: HOME })).toBe(false);
    expect(allows(limited, "get", "audit-events", { space: HOME, name: "x" })).toBe(false);
  });

  test("an owner's rights are cut too", () => {
    const mine: Target = { space: HOME, name: "session-1", ownerId: "me" };
    const reader = limitPrincipal(admin, { rules: viewerRules });
    expect(allows(reader, "get", "sessions", mine)).toBe(true);
    expect(allows(reader, "delete", "sessions", mine)).toBe(false);
    expect(allows(reader, "exec", "session-exec", mine)).toBe(false);
    expect(allows(limitPrincipal(admin, { spaceId: OTHER.id }), "get", "sessions", mine)).toBe(false);
  });

  test("aliases and names meet in a limit", () => {
    const principal = withRules([{ resources: ["space-secrets"], resource_names: ["A", "B"] }]);
    const limited = limitPrincipal(principal, {
      rules: [{ api_groups: ["*"], resources: ["secrets"], verbs: ["get"], resource_names: ["B", "C"] }],
    });
    const may = (name: string) => allows(limited, "get", "secrets", { space: HOME, name });
    expect([may("A"), may("B"), may("C")]).toEqual([false, true, false]);
  });
});
