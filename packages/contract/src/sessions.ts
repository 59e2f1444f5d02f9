import { z } from "zod";
import { LabelQuery, ListQuery, Metadata, QuerySwitch } from "./lists.ts";
import { DEFAULT_SPACE, Id, Name, Timestamp } from "./names.ts";
import { Limits, Network } from "./spaces.ts";

export const SESSION_STATES = ["init", "idle", "busy", "paused", "error", "deleted"] as const;
export type SessionState = (typeof SESSION_STATES)[number];
export const SESSION_TIERS = ["active", "frozen", "stopped"] as const;
export type SessionTier = (typeof SESSION_TIERS)[number];

export const Session = z.object({
  id: Id,
  space: Name,
  name: z.string().nullable(),
  created_by: z.string(),
  state: z.enum(SESSION_STATES),
  tier: z.enum(SESSION_TIERS),
  build_id: Id.nullable(),
  container_id: z.string().nullable(),
  persistent_volume_id: z.string().nullable(),
  parent_session_id: Id.nullable(),
  limits: Limits,
  network: Network,
  metadata: Metadata,
  created_at: Timestamp,
  started_at: Timestamp.nullable(),
  last_activity_at: Timestamp,
  paused_at: Timestamp.nullable(),
  terminated_at: Timestamp.nullable(),
  termination_reason: z.string().nullable(),
  error: z.string().nullable(),
});
export type Session = z.infer<typeof Session>;

const SessionName = z.string().min(1).max(128);

export const CreateSession = z.strictObject({
  space: Name.default(DEFAULT_SPACE),
  name: SessionName.optional(),
  build_id: Id.optional(),
  limits: Limits.partial().optional(),
  network: Network.optional(),
  metadata: Metadata.default({}),
  /** `ready` answers when the computer is ready, or after 120 s as it then is. */
  wait: z.enum(["ready"]).optional(),
});
export type CreateSession = z.infer<typeof CreateSession>;

export const UpdateSession = z.strictObject({
  name: SessionName.nullable().optional(),
  metadata: Metadata.optional(),
  /** Applied at once. The disk's size is fixed at creation. */
  limits: Limits.omit({ disk_mb: true }).partial().optional(),
});

export const ForkSession = z.strictObject({
  name: SessionName.optional(),
  /** The history up to this message's reply; all of it where left out. */
  from_message: Id.optional(),
});

export const SessionListQuery = ListQuery.extend({
  space: Name.optional(),
  state: z.enum(SESSION_STATES).optional(),
  created_by: z.string().max(63).optional(),
  label: LabelQuery.optional(),
});
export const DeletedQuery = z.strictObject({ deleted: QuerySwitch.default(false) });
