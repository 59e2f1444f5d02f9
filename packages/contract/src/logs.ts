import { z } from "zod";
import { QuerySwitch } from "./lists.ts";

export const LOG_LINES_DEFAULT = 100;
export const LOG_LINES_MAX = 10_000;
/** Of one line; the rest of a longer one follows as another. */
export const LOG_LINE_MAX_BYTES = 16 * 1024;

const Lines = z.coerce.number().int().min(1).max(LOG_LINES_MAX).default(LOG_LINES_DEFAULT);

export const SessionLogQuery = z.strictObject({ lines: Lines, follow: QuerySwitch.default(false) });

export const AgentLogQuery = z.strictObject({
  lines: Lines,
  log_type: z.enum(["stdout", "stderr", "all"]).default("all"),
  /** The session to look at; else the newest one that the agent has written a log in. */
  session_id: z.uuid().optional(),
  follow: QuerySwitch.default(false),
});
export type AgentLogQuery = z.infer<typeof AgentLogQuery>;

/** The log of the newest message that an agent has handled. */
export const AgentLog = z.object({
  agent_name: z.string(),
  space: z.string(),
  stdout: z.string(),
  stderr: z.string(),
  /** When the message was handled; null where there is no log yet. */
  timestamp: z.string().nullable(),
});
export type AgentLog = z.infer<typeof AgentLog>;

/** A line of the logs below `/session/logs`. `source` is `host`, or `{agent}/stdout`, `{agent}/stderr`. */
export const HostLogLine = z.object({
  source: z.string().max(128),
  /** Name of the file below `/session/logs`. */
  file: z.string().max(255),
  line: z.string(),
});
export type HostLogLine = z.infer<typeof HostLogLine>;
