import type { Rule } from "@raworc/contract";
import { describe, expect, test } from "vitest";
import type { Binding, Principal } from "./access.ts";
import { coversPrincipal, coversRules } from "./access-coverage.ts";
import { limitPrincipal } from "./access-scope.ts";
import { BUILT_IN_ROLES } from "./built-in-roles.ts";

const rulesOf = (role: string): readonly Rule[] => BUILT_IN_ROLES.find(({ name }) => name === role)?.rules ?? [];
const holder = (role: string, spaceId: string | null): Principal => ({
  id: "me",
  name: "me",
  bindings: [{ role, rules: rulesOf(role), spaceId }],
});
const rule = (part: Partial<Rule>): Rule => ({ api_groups: ["api"], resources: ["agents"], verbs: ["get"], ...part });
const withRules = (...rules: Rule[]): Principal => ({
  id: "me",
  name: "me",
  bindings: [{ role: "custom", rules, spaceId: null }],
});

describe("what may be given", () => {
  test.each([
    ["admin", "operator", true],
    ["admin", "admin", true],
    ["operator", "operator", true],
    ["operator", "viewer", false],
    ["developer", "operator", false],
    ["developer", "admin", false],
    ["viewer", "developer", false],
  ])("who has %s may give %s: %s", (own, given, expected) => {
    expect(coversRules(holder(own, null), rulesOf(given), null)).toBe(expected);
    expect(coversRules(holder(own, "s1"), rulesOf(given), "s1")).toBe(expected);
    expect(coversRules(holder(own, "s1"), rulesOf(given), "s2")).toBe(false);
    expect(coversRules(holder(own, "s1"), rulesOf(given), null)).toBe(false);
  });

  test("a star is had by who has a star, not by who has all there is today", () => {
    const verbs = withRules(rule({ verbs: ["list", "get", "create", "update", "delete"] }));
    expect(coversRules(verbs, [rule({ verbs: ["*"] })], null)).toBe(false);
    expect(coversRules(verbs, [rule({ verbs: ["list", "delete"] })], null)).toBe(true);
    expect(coversRules(verbs, [rule({ api_groups: ["*"] })], null)).toBe(false);
    expect(coversRules(withRules(rule({ resources: ["*"], verbs: ["*"] })), [rule({})], null)).toBe(true);
  });

  test("rights on names are rights on those names", () => {
    const some = withRules(rule({ resource_names: ["a"] }), rule({ resource_names: ["b"] }));
    expect(coversRules(some, [rule({ resource_names: ["a", "b"] })], null)).toBe(true);
    expect(coversRules(some, [rule({ resource_names: ["a", "c"] })], null)).toBe(false);
    expect(coversRules(some, [rule({})], null)).toBe(false);
    expect(coversRules(some, [rule({ resource_names: [] })], null)).toBe(false);
  });

  test("rules may come together from several bindings, and aliases mean the same", () => {
    const own = withRules(rule({ verbs: ["get"] }), rule({ verbs: ["list"] }), rule({ resources: ["space-secrets"] }));
    expect(coversRules(own, [rule({ verbs: ["get", "list"] })], null)).toBe(true);
    expect(coversRules(own, [rule({ resources: ["secrets", "agents"] })], null)).toBe(true);
    expect(coversRules(own, [rule({ resources: ["secrets"], verbs: ["list"] })], null)).toBe(false);
  });

  test("a limited token gives no more than it has left", () => {
    const limited = limitPrincipal(holder("admin", null), { spaceId: "s1" });
    expect(coversRules(limited, rulesOf("admin"), "s1")).toBe(true);
    expect(coversRules(limited, rulesOf("viewer"), null)).toBe(false);
    const reader = limitPrincipal(holder("admin", null), { rules: rulesOf("viewer") });
    expect(coversRules(reader, rulesOf("viewer"), null)).toBe(true);
    expect(coversRules(reader, rulesOf("developer"), null)).toBe(false);
  });
});

test("another's account is covered binding by binding", () => {
  const bindings = (...list: [string, string | null][]): { bindings: Binding[] } => ({
    bindings: list.map(([role, spaceId]) => ({ role, rules: rulesOf(role), spaceId })),
  });
  expect(coversPrincipal(holder("admin", null), bindings(["admin", null], ["viewer", "s1"]))).toBe(true);
  expect(coversPrincipal(holder("operator", null), bindings(["operator", "s1"]))).toBe(true);
  expect(coversPrincipal(holder("operator", null), bindings(["operator", "s1"], ["admin", "s2"]))).toBe(false);
  expect(coversPrincipal(holder("viewer", null), bindings())).toBe(true);
});
