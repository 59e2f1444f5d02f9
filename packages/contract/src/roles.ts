import { z } from "zod";
import { RESOURCES, VERBS } from "./access.ts";
import { Timestamp } from "./names.ts";

export const ROLE_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
export const RoleName = z
  .string()
  .regex(ROLE_PATTERN, "use 1 to 63 letters, digits, . _ -, starting with a letter or digit");

/** Other names of resources that rules may use. */
export const RESOURCE_ALIASES = { "space-secrets": "secrets", "space-builds": "builds" } as const;

const KNOWN_RESOURCES: ReadonlySet<string> = new Set(["*", ...RESOURCES, ...Object.keys(RESOURCE_ALIASES)]);
const KNOWN_VERBS: ReadonlySet<string> = new Set(["*", ...VERBS]);

const Text = z.string().min(1).max(128);
const known = (kind: string, names: ReadonlySet<string>) =>
  z
    .array(Text.refine((name) => names.has(name), `is no ${kind}; use one of ${[...names].join(", ")}`))
    .min(1)
    .max(64);

/** A rule as it may be written: one that names what doesn't exist would silently give nothing. */
export const RuleInput = z.strictObject({
  api_groups: z.array(Text).min(1).max(8),
  resources: known("resource", KNOWN_RESOURCES),
  verbs: known("verb", KNOWN_VERBS),
  resource_names: z.array(z.string().min(1).max(256)).max(100).optional(),
});

const StoredRule = z.object({
  api_groups: z.array(z.string()),
  resources: z.array(z.string()),
  verbs: z.array(z.string()),
  resource_names: z.array(z.string()).optional(),
});

export const Role = z.object({
  name: RoleName,
  description: z.string(),
  rules: z.array(StoredRule),
  /** Built-in roles are always there and can't be changed. */
  built_in: z.boolean(),
  created_at: Timestamp,
});
export type Role = z.infer<typeof Role>;

export const CreateRole = z.strictObject({
  name: RoleName,
  description: z.string().max(4096).default(""),
  rules: z.array(RuleInput).max(50),
});

export const UpdateRole = z.strictObject({
  /** The name itself: roles can't be renamed. */
  name: RoleName.optional(),
  description: z.string().max(4096).optional(),
  rules: z.array(RuleInput).max(50).optional(),
});
