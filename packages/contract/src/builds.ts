import { z } from "zod";
import { ListQuery, QuerySwitch } from "./lists.ts";
import { Id, Name, Timestamp } from "./names.ts";

export const BUILD_STATUSES = ["pending", "building", "completed", "failed", "cancelled"] as const;
export type BuildStatus = (typeof BUILD_STATUSES)[number];

export const BuildAgent = z.object({
  name: Name,
  runtime: z.string().nullable(),
  commit: z.string().nullable(),
  cached: z.boolean(),
  status: z.enum(BUILD_STATUSES),
  seconds: z.number().nullable(),
  error: z.string().nullable(),
});
export type BuildAgent = z.infer<typeof BuildAgent>;

export const Build = z.object({
  build_id: Id,
  space: Name,
  status: z.enum(BUILD_STATUSES),
  image_tag: z.string().nullable(),
  agents: z.array(BuildAgent),
  agents_deployed: z.array(Name),
  created_at: Timestamp,
  started_at: Timestamp.nullable(),
  completed_at: Timestamp.nullable(),
  /** Why it failed or was cancelled, with the tail of the failing agent's log. */
  error: z.string().nullable(),
});
export type Build = z.infer<typeof Build>;

export const StartBuild = z.strictObject({ force_rebuild: z.boolean().default(false) });
export const BuildListQuery = ListQuery.extend({ state: z.enum(BUILD_STATUSES).optional() });
export const FollowQuery = z.strictObject({ follow: QuerySwitch.default(false) });
