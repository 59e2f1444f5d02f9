import { API_GROUP, RESOURCES, type Resource, type Rule, type Verb } from "@raworc/contract";

export interface BuiltInRole {
  readonly name: string;
  readonly description: string;
  readonly rules: readonly Rule[];
}

const rule = (resources: readonly (Resource | "*")[], verbs: readonly (Verb | "*")[]): Rule => ({
  api_groups: [API_GROUP],
  resources: [...resources],
  verbs: [...verbs],
});

const SESSION_RESOURCES = ["sessions", "session-messages", "session-files", "session-exec"] as const;
const READ = ["list", "get"] as const;
const WRITE = ["list", "get", "create", "update", "delete"] as const;

/** Roles that are always there and can't be changed. */
export const BUILT_IN_ROLES: readonly BuiltInRole[] = [
  { name: "admin", description: "May do everything", rules: [rule(["*"], ["*"])] },
  {
    name: "operator",
    description: "Runs sessions, builds and secrets; reads spaces and agents",
    rules: [rule([...SESSION_RESOURCES, "secrets", "builds"], ["*"]), rule(["spaces", "agents"], READ)],
  },
  {
    name: "developer",
    description: "Makes agents and works in own sessions; writes secrets but does not read their values",
    rules: [
      rule(["spaces"], READ),
      rule(["agents", "builds", "secrets"], WRITE),
      rule(SESSION_RESOURCES, [...WRITE, "exec"]),
    ],
  },
  {
    name: "viewer",
    description: "Reads everything but secret values and files",
    rules: [
      rule(
        RESOURCES.filter((resource) => resource !== "session-files" && resource !== "session-exec"),
        [...READ, "list-all"],
      ),
    ],
  },
];
