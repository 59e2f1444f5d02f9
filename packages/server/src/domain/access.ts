import { API_GROUP, RaworcError, type Resource, type Rule, type Verb } from "@raworc/contract";

export interface Binding {
  readonly role: string;
  readonly rules: readonly Rule[];
  /** Null is everywhere. */
  readonly spaceId: string | null;
}

/** What a token may use of its account's rights. Nothing here adds a right. */
export interface TokenLimits {
  readonly spaceId?: string | undefined;
  readonly rules?: readonly Rule[] | undefined;
}

/** An account that acts, with the rights it has at this moment. */
export interface Principal {
  /** Account id; owners are compared by it, since a name can be given again. */
  readonly id: string;
  readonly name: string;
  readonly bindings: readonly Binding[];
  /** Set by `limitPrincipal`, which has cut the bindings already; an owner's rights are cut by it too. */
  readonly limits?: TokenLimits | undefined;
}

export interface SpaceIdentity {
  readonly id: string;
  readonly name: string;
}

/** What a call is about. */
export interface Target {
  /** The space it is in; null: outside of all spaces; `any`: a list over spaces, which shows what its scope allows. */
  readonly space: SpaceIdentity | null | "any";
  /** Name of the object as `resource_names` mean it. Left out for a collection. */
  readonly name?: string | undefined;
  /** The name is the one that the call would give: a refusal is about the collection, since there is no object yet. */
  readonly isNew?: boolean | undefined;
  /** Account id of the session's creator, for sessions and all that is in them. */
  readonly ownerId?: string | undefined;
}

/** `hidden` is answered as if the thing did not exist. */
export type Decision = "allowed" | "forbidden" | "hidden";

const ALIASES: Readonly<Record<string, string>> = { "space-secrets": "secrets", "space-builds": "builds" };
const SESSION_RESOURCES: ReadonlySet<Resource> = new Set<Resource>([
  "sessions",
  "session-messages",
  "session-files",
  "session-exec",
]);
/** A binding to one space gives nothing on these. */
const GLOBAL_RESOURCES: ReadonlySet<Resource> = new Set<Resource>(["service-accounts", "roles", "tokens"]);

/** The resource that a rule means; `space-secrets` and `space-builds` are other names of two. */
export function plainResource(name: string): string {
  return ALIASES[name] ?? name;
}

const lists = (values: readonly string[], value: string): boolean => values.includes("*") || values.includes(value);

const isAbout = ({ resources }: Rule, resource: Resource): boolean =>
  resources.includes("*") || resources.some((name) => plainResource(name) === resource);

/** Whether a rule is about this verb on this resource, whatever the names. */
export function ruleCovers(rule: Rule, verb: Verb, resource: Resource): boolean {
  return lists(rule.api_groups, API_GROUP) && lists(rule.verbs, verb) && isAbout(rule, resource);
}

/** The names a rule narrows to; undefined is all of them. An empty list narrows nothing. */
export function ruleNames(rule: Rule): readonly string[] | undefined {
  const names = rule.resource_names;
  return names === undefined || names.length === 0 || names.includes("*") ? undefined : names;
}

function ruleMatches(rule: Rule, verb: Verb, resource: Resource, target: Target): boolean {
  if (!ruleCovers(rule, verb, resource)) return false;
  const names = ruleNames(rule);
  if (names === undefined) return true;
  // A list of some names is a list all the same: the answer is filtered by them.
  if (target.name === undefined) return verb === "list";
  return names.includes(target.name);
}

/** Whether a binding to this space (null: everywhere) reaches rows of the resource that lie in a space. */
export function bindingReaches(spaceId: string | null, resource: Resource, space: Target["space"]): boolean {
  if (spaceId === null) return true;
  if (space === null || GLOBAL_RESOURCES.has(resource)) return false;
  return space === "any" || space.id === spaceId;
}

function isGranted(principal: Principal, verb: Verb, resource: Resource, target: Target): boolean {
  return principal.bindings.some(
    (binding) =>
      bindingReaches(binding.spaceId, resource, target.space) &&
      binding.rules.some((rule) => ruleMatches(rule, verb, resource, target)),
  );
}

/** Whether the principal may get the space itself. */
export function seesSpace(principal: Principal, space: SpaceIdentity): boolean {
  return isGranted(principal, "get", "spaces", { space, name: space.name });
}

function isWithinLimits(limits: TokenLimits | undefined, verb: Verb, resource: Resource, target: Target): boolean {
  if (limits === undefined) return true;
  if (limits.spaceId !== undefined && !bindingReaches(limits.spaceId, resource, target.space)) return false;
  return limits.rules === undefined || limits.rules.some((rule) => ruleMatches(rule, verb, resource, target));
}

/**
 * May the principal do this. Rules only add rights; nothing bound is nothing allowed.
 * The creator of a session may do all with it but `files-any` while he sees its space; others' sessions need `list-all`
 * beside the right itself. A session whose owner is not told counts as another's.
 */
export function allows(principal: Principal, verb: Verb, resource: Resource, target: Target): boolean {
  const isSession = SESSION_RESOURCES.has(resource) && target.name !== undefined;
  if (!isSession) return isGranted(principal, verb, resource, target);
  if (target.ownerId === principal.id) {
    const { space } = target;
    const owns = verb !== "files-any" && space !== null && space !== "any" && seesSpace(principal, space);
    if (owns && isWithinLimits(principal.limits, verb, resource, target)) return true;
    return isGranted(principal, verb, resource, target);
  }
  return isGranted(principal, verb, resource, target) && isGranted(principal, "list-all", "sessions", target);
}

/**
 * Decides a call, and how a refusal looks: what one may not see is hidden, a collection that is closed and an object
 * that may be seen but not used so are forbidden.
 */
export function decide(principal: Principal, verb: Verb, resource: Resource, target: Target): Decision {
  if (allows(principal, verb, resource, target)) return "allowed";
  if (target.name === undefined || target.isNew === true) {
    const { space } = target;
    return space === null || space === "any" || seesSpace(principal, space) ? "forbidden" : "hidden";
  }
  const seenAs: Resource = SESSION_RESOURCES.has(resource) ? "sessions" : resource;
  return allows(principal, "get", seenAs, target) ? "forbidden" : "hidden";
}

/** The error of everything that is not there or may not be seen; the two must look alike. */
export function hiddenError(): RaworcError {
  return new RaworcError("not_found", "There is no such thing, or it is not visible to you. Check the name or id.");
}

/** Throws `forbidden` or `not_found` unless the principal may do this. */
export function authorize(principal: Principal, verb: Verb, resource: Resource, target: Target): void {
  const decision = decide(principal, verb, resource, target);
  if (decision === "allowed") return;
  if (decision === "hidden") throw hiddenError();
  const { space } = target;
  const where = space === null || space === "any" ? "" : ` in the space ${space.name}`;
  throw new RaworcError(
    "forbidden",
    `You lack the right ${verb} on ${resource}${where}. Ask an administrator for a role that has it.`,
  );
}
