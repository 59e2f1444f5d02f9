import { z } from "zod";

export const API_GROUP = "api";

export const RESOURCES = [
  "spaces",
  "secrets",
  "agents",
  "builds",
  "sessions",
  "session-messages",
  "session-files",
  "session-exec",
  "service-accounts",
  "roles",
  "role-bindings",
  "audit-events",
  "tokens",
] as const;
export type Resource = (typeof RESOURCES)[number];

export const VERBS = [
  "list",
  "get",
  "create",
  "update",
  "delete",
  "read-values",
  "exec",
  "files-any",
  "list-all",
] as const;
export type Verb = (typeof VERBS)[number];

/** A rule only adds rights. `*` matches all. */
export const Rule = z.strictObject({
  api_groups: z.array(z.string().min(1)).min(1),
  resources: z.array(z.string().min(1)).min(1),
  verbs: z.array(z.string().min(1)).min(1),
  resource_names: z.array(z.string().min(1)).optional(),
});
export type Rule = z.infer<typeof Rule>;
