import type { Rule } from "@raworc/contract";
import { type Principal, plainResource, ruleNames } from "./access.ts";

const covers = (values: readonly string[], value: string): boolean => values.includes("*") || values.includes(value);

/**
 * Whether the principal has every right that the rules give, in a space or (null) everywhere. `*` is only had by who has `*`:
 * it means what is yet to come too. Nobody may give, write or take over rights that he lacks.
 */
export function coversRules(principal: Principal, rules: readonly Rule[], spaceId: string | null): boolean {
  const own = principal.bindings
    .filter((binding) => binding.spaceId === null || binding.spaceId === spaceId)
    .flatMap((binding) => binding.rules.map((rule) => ({ ...rule, resources: rule.resources.map(plainResource) })));
  return rules.every((rule) => coversRule(own, rule));
}

function coversRule(own: readonly Rule[], rule: Rule): boolean {
  const names = ruleNames(rule);
  return unique(rule.api_groups).every((group) =>
    unique(rule.resources.map(plainResource)).every((resource) =>
      unique(rule.verbs).every((verb) => {
        const giving = own.filter(
          (candidate) =>
            covers(candidate.api_groups, group) &&
            covers(candidate.resources, resource) &&
            covers(candidate.verbs, verb),
        );
        const namesOfEach = giving.map(ruleNames);
        if (namesOfEach.includes(undefined)) return true;
        const given = new Set(namesOfEach.flatMap((list) => list ?? []));
        return names?.every((name) => given.has(name)) ?? false;
      }),
    ),
  );
}

const unique = (values: readonly string[]): string[] => [...new Set(values)];

/** Whether the principal has all that another one's bindings give. */
export function coversPrincipal(principal: Principal, other: Pick<Principal, "bindings">): boolean {
  return other.bindings.every((binding) => coversRules(principal, binding.rules, binding.spaceId));
}
