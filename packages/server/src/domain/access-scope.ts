import type { Permission, Resource, Rule, Verb } from "@raworc/contract";
import {
  type Binding,
  bindingReaches,
  type Principal,
  plainResource,
  ruleCovers,
  ruleNames,
  type TokenLimits,
} from "./access.ts";

/** Rows that a list may show; a row must meet all that is set. Nothing set is every row. */
export interface ScopeClause {
  readonly spaceId?: string | undefined;
  readonly names?: readonly string[] | undefined;
  readonly ownerId?: string | undefined;
}

/** A row is shown when it meets one clause. No clause shows nothing. */
export type Scope = readonly ScopeClause[];

export interface ScopedRow {
  readonly spaceId?: string | null | undefined;
  readonly name?: string | undefined;
  readonly ownerId?: string | undefined;
}

const EVERYTHING: Scope = [{}];

function isEverything(clause: ScopeClause): boolean {
  return clause.spaceId === undefined && clause.names === undefined && clause.ownerId === undefined;
}

export function coversEverything(scope: Scope): boolean {
  return scope.some(isEverything);
}

export function inScope(scope: Scope, row: ScopedRow): boolean {
  return scope.some(
    (clause) =>
      (clause.spaceId === undefined || clause.spaceId === row.spaceId) &&
      (clause.names === undefined || (row.name !== undefined && clause.names.includes(row.name))) &&
      (clause.ownerId === undefined || clause.ownerId === row.ownerId),
  );
}

/** The rows of a resource on which the principal has the verb. Session rows need `sessionScope`. */
export function listScope(principal: Principal, verb: Verb, resource: Resource): Scope {
  const clauses: ScopeClause[] = [];
  for (const binding of principal.bindings) {
    if (!bindingReaches(binding.spaceId, resource, "any")) continue;
    for (const rule of binding.rules) {
      if (!ruleCovers(rule, verb, resource)) continue;
      const names = ruleNames(rule);
      clauses.push({
        ...(binding.spaceId === null ? {} : { spaceId: binding.spaceId }),
        ...(names === undefined ? {} : { names }),
      });
    }
  }
  return coversEverything(clauses) ? EVERYTHING : clauses;
}

/** Spaces that the principal may get. */
export function visibleSpaces(principal: Principal): Scope {
  return listScope(principal, "get", "spaces");
}

/** Sessions that a list shows: one's own, and others' where `list-all` holds too. Names are session ids. */
export function sessionScope(principal: Principal): Scope {
  const listed = listScope(principal, "list", "sessions");
  const all = listScope(principal, "list-all", "sessions");
  const others = listed.flatMap((clause) => all.flatMap((other) => intersectClauses(clause, other)));
  if (coversEverything(others)) return EVERYTHING;
  return [...others, ...listed.map((clause) => ({ ...clause, ownerId: principal.id }))];
}

function intersectClauses(one: ScopeClause, other: ScopeClause): ScopeClause[] {
  const spaceId = one.spaceId ?? other.spaceId;
  if (other.spaceId !== undefined && other.spaceId !== spaceId) return [];
  const names = intersectNames(one.names, other.names);
  if (names?.length === 0) return [];
  return [{ ...(spaceId === undefined ? {} : { spaceId }), ...(names === undefined ? {} : { names }) }];
}

function intersectNames(
  one: readonly string[] | undefined,
  other: readonly string[] | undefined,
): readonly string[] | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return one.filter((name) => other.includes(name));
}

function intersectLists(one: readonly string[], other: readonly string[]): string[] {
  if (one.includes("*")) return [...other];
  return other.includes("*") ? [...one] : one.filter((value) => other.includes(value));
}

/** The rule that gives what both give, if there is anything. */
function intersectRules(one: Rule, other: Rule): Rule[] {
  const rule = {
    api_groups: intersectLists(one.api_groups, other.api_groups),
    resources: intersectLists(plainResources(one), plainResources(other)),
    verbs: intersectLists(one.verbs, other.verbs),
  };
  const names = intersectNames(ruleNames(one), ruleNames(other));
  const isEmpty =
    rule.api_groups.length === 0 || rule.resources.length === 0 || rule.verbs.length === 0 || names?.length === 0;
  if (isEmpty) return [];
  return [names === undefined ? rule : { ...rule, resource_names: [...names] }];
}

function plainResources(rule: Rule): string[] {
  return rule.resources.map(plainResource);
}

/** The principal with what a limited token leaves of its rights. */
export function limitPrincipal(principal: Principal, limits: TokenLimits): Principal {
  const bindings = principal.bindings.flatMap((binding): Binding[] => {
    const spaceId = binding.spaceId ?? limits.spaceId ?? null;
    if (limits.spaceId !== undefined && limits.spaceId !== spaceId) return [];
    const cuts = limits.rules;
    const rules =
      cuts === undefined
        ? binding.rules
        : binding.rules.flatMap((rule) => cuts.flatMap((cut) => intersectRules(rule, cut)));
    return [{ role: binding.role, rules, spaceId }];
  });
  return { ...principal, bindings, limits };
}

/** What the principal may do, for people: one entry for each rule. Bindings to spaces that are gone are left out. */
export function permissionsOf(principal: Principal, spaceNames: ReadonlyMap<string, string>): Permission[] {
  return principal.bindings.flatMap((binding) => {
    const space = binding.spaceId === null ? null : spaceNames.get(binding.spaceId);
    return space === undefined ? [] : binding.rules.map((rule) => ({ space, ...rule }));
  });
}
