import { z } from "zod";
import { Name, Timestamp } from "./names.ts";

/** Limits of a session computer. */
export const Limits = z.strictObject({
  cpus: z.number().min(0.05).max(256),
  memory_mb: z.number().int().min(64).max(1_048_576),
  disk_mb: z.number().int().min(64).max(16_777_216),
  pids: z.number().int().min(16).max(1_000_000),
});
export type Limits = z.infer<typeof Limits>;
export const DEFAULT_LIMITS: Limits = { cpus: 1, memory_mb: 1024, disk_mb: 5120, pids: 512 };

export const Network = z.strictObject({
  mode: z.enum(["open", "allowlist", "none"]),
  /** Host names, `*.` in front for all below; ports 80 and 443. */
  allow: z
    .array(z.string().regex(/^(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i))
    .max(1000)
    .optional(),
});
export type Network = z.infer<typeof Network>;

const Seconds = z.number().int().min(1).max(31_536_000).nullable();

/** When an idle session is put to rest, in seconds from its last use. Null is never. */
export const IdlePolicy = z.strictObject({
  freeze_after_s: Seconds.optional(),
  stop_after_s: Seconds.optional(),
  /** Name of `stop_after_s` in 0.2. */
  pause_after_s: Seconds.optional(),
  delete_after_s: Seconds.optional(),
});
export type IdlePolicy = z.infer<typeof IdlePolicy>;

const Count = z.number().int().min(0).max(1_000_000_000);

/** The most that a space may have or take; what is left out has no bound. */
export const Quota = z.strictObject({
  /** Sessions that are there, in whatever state. */
  sessions: Count.optional(),
  /** Sessions whose computer runs or is frozen. */
  running_sessions: Count.optional(),
  messages_per_minute: Count.optional(),
});
export type Quota = z.infer<typeof Quota>;

/** Settings the system knows are checked; others are kept for the user. */
export const SpaceSettings = z.looseObject({
  auto_build: z.boolean().optional(),
  limits: Limits.partial().optional(),
  network: Network.optional(),
  idle: IdlePolicy.optional(),
  root: z.boolean().optional(),
  /** Computers that wait started for sessions of the newest build. */
  warm_pool: z.number().int().min(0).max(1000).optional(),
  quota: Quota.optional(),
  environment: z.string().max(63).optional(),
});
export type SpaceSettings = z.infer<typeof SpaceSettings>;

export const Space = z.object({
  name: Name,
  description: z.string(),
  settings: SpaceSettings,
  active: z.boolean(),
  created_at: Timestamp,
  updated_at: Timestamp,
  created_by: z.string(),
});
export type Space = z.infer<typeof Space>;

export const CreateSpace = z.strictObject({
  name: Name,
  description: z.string().max(4096).default(""),
  settings: SpaceSettings.default({}),
});
export const UpdateSpace = z.strictObject({
  name: Name.optional(),
  description: z.string().max(4096).optional(),
  settings: SpaceSettings.optional(),
  active: z.boolean().optional(),
});
