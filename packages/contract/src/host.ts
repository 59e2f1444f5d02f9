/**
 * What the control plane and the host in a session computer say to each other: HTTP over a Unix socket.
 * The control plane dials in; the host never dials out. Both sides ship together, yet whatever comes
 * out of a session is hostile: the control plane parses answers with the schemas here.
 *
 *   GET    /health                → HostHealth
 *   GET    /watch                 → 200 and no byte, open for as long as the host lives: its end tells of the host's
 *   POST   /claim    HostClaim    → 204; again with the same session_id replaces environment and agents;
 *                                   with another session_id 409
 *   POST   /messages HostMessage  → NDJSON of HostMessageLine. A known id is not run again: its lines are
 *                                   given from the journal, and go on live while it runs. `?from=N` leaves out
 *                                   the lines before line N. 409 `conflict` where `history_after` is not known
 *   GET    /messages/{id}         → the same lines; 404 when the host never started it
 *   POST   /messages/{id}/cancel  → 202; 404 when it is not known
 *   POST   /messages/forget HostForget → 204; their ends are recorded by the control plane, the journal may forget them. What
 *                                   still runs or is not known is passed over
 *   POST   /exec     HostExec     → NDJSON of HostExecLine; closing the connection kills all that it started
 *   GET    /files?path=&reach=    → the file's bytes, with Range, If-Range, If-None-Match; HEAD without them;
 *                                   `&list=true&limit=&after=` HostFileList, `&stat=true` FileEntry. `path` is absolute;
 *                                   `reach` is FileReach
 *   PUT    /files?path=&reach=    bytes → 201 or 200 with FileEntry; takes If-Match, If-None-Match
 *   DELETE /files?path=&reach=    → 204; `&recursive=true` for folders
 *   POST   /moves?path=&to=&reach=  → FileEntry
 *   GET    /terminals/{id}?cols=&rows=  with `Upgrade: raworc-terminals` → 101, then frames (frames.ts) both ways
 *   GET    /ports/{port}          with `Upgrade: raworc-ports` → 101, then the bytes of a connection to that port
 *   GET    /logs?lines=&agent=&follow=  → NDJSON of HostLogLine
 *   GET    /usage?sized=           → HostUsage; `sized`: the volume is a file system of its own
 *   POST   /shutdown              → 202; workers get SIGTERM, after 2 s SIGKILL, then the host exits
 *
 * Errors: `{error: {code, message}}` with a status of 400 or more.
 */
import { z } from "zod";
import { Metadata } from "./lists.ts";
import { ResolvedManifest } from "./manifest.ts";

export const HostHealth = z.object({
  status: z.literal("ok"),
  version: z.string(),
  session_id: z.string().nullable(),
  uptime_ms: z.number(),
});
export type HostHealth = z.infer<typeof HostHealth>;

export const HostAgent = z.object({
  name: z.string(),
  /** Folder of the built agent inside the computer. */
  path: z.string(),
  manifest: ResolvedManifest,
});
export type HostAgent = z.infer<typeof HostAgent>;

export const HostClaim = z.object({
  session_id: z.string(),
  space: z.string(),
  /** Environment of agents and commands: secrets and what the server's configuration hands on. */
  environment: z.record(z.string(), z.string()),
  agents: z.array(HostAgent),
});
export type HostClaim = z.infer<typeof HostClaim>;

export const HistoryEntry = z.object({
  role: z.string(),
  content: z.string(),
  /** Names the entry between control plane and host; agents don't get it. */
  seq: z.number().int().optional(),
});
export type HistoryEntry = z.infer<typeof HistoryEntry>;

/** The handler's second argument. */
export const AgentContext = z.object({
  session_id: z.string(),
  space: z.string(),
  message_id: z.string(),
  timestamp: z.string(),
  created_by: z.string(),
  agent: z.string(),
  history: z.array(HistoryEntry),
  metadata: Metadata,
});
export type AgentContext = z.infer<typeof AgentContext>;

/** Ids in one call. */
export const HOST_FORGET_MAX = 1000;
const ForgetIds = z.array(z.string()).max(HOST_FORGET_MAX);

export const HostMessage = z.object({
  message_id: z.string(),
  agent: z.string(),
  content: z.string(),
  context: AgentContext,
  /**
   * Where it is set, `context.history` holds only what came after the entry with this `seq`, and the host puts it behind
   * what it keeps of the messages before: whole entries, the newest that fit into HISTORY_MAX_MESSAGES and
   * HISTORY_MAX_BYTES. A host whose history does not end with that entry refuses; then the history is sent whole.
   */
  history_after: z.number().int().optional(),
  /** Messages whose ends the control plane has recorded: the journal may forget them. */
  forget: ForgetIds.optional(),
});
export type HostMessage = z.infer<typeof HostMessage>;

export const HostForget = z.object({ ids: ForgetIds });
export type HostForget = z.infer<typeof HostForget>;

const Tokens = z.object({ input: z.number(), output: z.number() }).partial();

/** A line of an answer. Lines are numbered from 0 by their place; a heartbeat `{"type":"beat"}` counts not. */
export const HostMessageLine = z.discriminatedUnion("type", [
  z.object({ type: z.literal("start"), at: z.string() }),
  z.object({ type: z.literal("delta"), text: z.string() }),
  z.object({
    type: z.literal("end"),
    status: z.enum(["done", "failed", "cancelled"]),
    /** The whole reply, or its first REPLY_MAX_BYTES. */
    content: z.string(),
    truncated: z.boolean(),
    /** Relative to the session's folder: the whole reply where it was cut. */
    reply_file: z.string().nullable(),
    duration_ms: z.number(),
    /** Relative to the session's folder: `logs/{agent}_…_stdout.log`, and the stderr one. Null where nothing was printed. */
    log_file: z.string().nullable(),
    error_log_file: z.string().nullable(),
    tokens: Tokens.optional(),
    cost: z.number().optional(),
    error: z.object({ code: z.string(), message: z.string() }).optional(),
  }),
]);
export type HostMessageLine = z.infer<typeof HostMessageLine>;
export type HostMessageEnd = Extract<HostMessageLine, { type: "end" }>;

export const HostExec = z.object({
  /** A text goes to `sh -c`, a list is run as it is. */
  command: z.union([z.string(), z.array(z.string()).min(1)]),
  cwd: z.string(),
  env: z.record(z.string(), z.string()),
  timeout_s: z.number(),
  stdin: z.string().optional(),
});
export type HostExec = z.infer<typeof HostExec>;

export const HostExecLine = z.discriminatedUnion("type", [
  z.object({ type: z.enum(["stdout", "stderr"]), data: z.string(), encoding: z.enum(["utf-8", "base64"]) }),
  z.object({
    type: z.literal("exit"),
    exit_code: z.number().nullable(),
    signal: z.string().nullable(),
    timed_out: z.boolean(),
  }),
]);
export type HostExecLine = z.infer<typeof HostExecLine>;

export const HostFailure = z.object({ error: z.object({ code: z.string(), message: z.string() }) });
