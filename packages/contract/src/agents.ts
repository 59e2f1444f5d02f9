import { z } from "zod";
import { ListQuery } from "./lists.ts";
import { Name, Timestamp } from "./names.ts";

export const AGENT_STATUSES = ["configured", "building", "running", "stopped", "error"] as const;

export const Agent = z.object({
  name: Name,
  space: Name,
  description: z.string(),
  purpose: z.string(),
  source_repo: z.string(),
  /** Null: the repository's own default branch. */
  source_branch: z.string().nullable(),
  /** Folder of the agent in the repository; null is its root. */
  source_path: z.string().nullable(),
  status: z.enum(AGENT_STATUSES),
  commit: z.string().nullable(),
  runtime: z.string().nullable(),
  created_at: Timestamp,
  updated_at: Timestamp,
  created_by: z.string(),
  /** The build that a change has started. */
  build_id: z.string().optional(),
});
export type Agent = z.infer<typeof Agent>;

const SourceRepo = z.string().min(1).max(2048);
/** No option of git's can be smuggled in by a name that starts with a dash. */
const SourceBranch = z
  .string()
  .max(255)
  .regex(/^(?!-)(?!.*\.\.)[^\s~^:?*[\\\p{Cc}]+$/u, "not a branch, tag or commit name");
const SourcePath = z
  .string()
  .max(1024)
  .regex(/^(?!\/)(?!-)(?!(.*\/)?\.\.(\/|$))[^\\\p{Cc}]+$/u, "use a path below the repository's root");

export const CreateAgent = z.strictObject({
  name: Name,
  description: z.string().max(4096).default(""),
  purpose: z.string().max(4096).default(""),
  source_repo: SourceRepo,
  source_branch: SourceBranch.nullable().default(null),
  source_path: SourcePath.nullable().default(null),
});
export type CreateAgent = z.infer<typeof CreateAgent>;

export const UpdateAgent = z.strictObject({
  description: z.string().max(4096).optional(),
  purpose: z.string().max(4096).optional(),
  source_repo: SourceRepo.optional(),
  source_branch: SourceBranch.nullable().optional(),
  source_path: SourcePath.nullable().optional(),
});

export const AgentListQuery = ListQuery.extend({ status: z.enum(AGENT_STATUSES).optional() });
