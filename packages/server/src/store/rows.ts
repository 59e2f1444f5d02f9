import type { AuditOutcome, BuildStatus, MessageStatus, SessionState, SessionTier } from "@raworc/contract";

/**
 * Rows as they are in the database. Times are RFC 3339 texts, switches 0 or 1, JSON is text: all of it works alike in
 * SQLite and MySQL. The modules of the nouns turn rows into objects of the contract.
 */
export interface Database {
  readonly settings: SettingRow;
  readonly servers: ServerRow;
  readonly leases: LeaseRow;
  readonly errands: ErrandRow;
  readonly spaces: SpaceRow;
  readonly accounts: AccountRow;
  readonly roles: RoleRow;
  readonly role_bindings: RoleBindingRow;
  readonly login_failures: LoginFailureRow;
  readonly revoked_tokens: RevokedTokenRow;
  readonly api_tokens: ApiTokenRow;
  readonly secrets: SecretRow;
  readonly secret_versions: SecretVersionRow;
  readonly wrapped_keys: WrappedKeyRow;
  readonly audit_events: AuditEventRow;
  readonly audit_head: AuditHeadRow;
  readonly agents: AgentRow;
  readonly artifacts: ArtifactRow;
  readonly removals: RemovalRow;
  readonly builds: BuildRow;
  readonly build_logs: BuildLogRow;
  readonly sessions: SessionRow;
  readonly messages: MessageRow;
  readonly events: EventRow;
  readonly pool_computers: PoolComputerRow;
  readonly idempotency_keys: IdempotencyKeyRow;
  readonly message_times: MessageTimeRow;
}

export interface SettingRow {
  name: string;
  value: string;
}

/** A control plane that works on this store. */
export interface ServerRow {
  id: string;
  /** Tells whether two servers run under one kernel. */
  machine: string;
  /** Path of the socket where other servers reach it. */
  address: string;
  /** Milliseconds since 1970 by the database's clock. */
  heartbeat_at: number;
  /** 0 for one that only answers calls. */
  operates: number | null;
}

/** Which server does the work of one key. */
export interface LeaseRow {
  kind: string;
  lease_key: string;
  /** Free when there is no such server. */
  server_id: string;
}

/** What one server asks of the one that does the work of a key. */
export interface ErrandRow {
  id: string;
  kind: string;
  /** Id of the session or space. */
  subject: string;
  /** Who asks. Without that server there is no errand. */
  server_id: string;
  /** JSON. */
  request: string;
  /** JSON; null until it is done. */
  answer: string | null;
}

export interface SpaceRow {
  id: string;
  name: string;
  description: string;
  settings: string;
  active: number;
  created_at: string;
  updated_at: string;
  created_by: string;
}

export interface LoginFailureRow {
  /** Hash of an account's name or of an address. */
  subject: string;
  /** JSON: milliseconds since 1970, oldest first. */
  times: string;
  last_at: number;
}

export interface AccountRow {
  id: string;
  user: string;
  password_hash: string;
  description: string;
  active: number;
  /** Only tokens of this generation are good; it grows when all are to end. */
  token_generation: number;
  created_at: string;
  updated_at: string;
}

export interface RoleRow {
  name: string;
  description: string;
  rules: string;
  built_in: number;
  created_at: string;
}

export interface RoleBindingRow {
  id: string;
  role_name: string;
  account_id: string;
  /** Null binds everywhere. */
  space_id: string | null;
  created_at: string;
}

export interface RevokedTokenRow {
  token_id: string;
  expires_at: string;
}

export interface ApiTokenRow {
  id: string;
  account_id: string;
  name: string;
  /** SHA-256 of the token in hex. */
  token_hash: string;
  space_id: string | null;
  role_name: string | null;
  created_at: string;
  expires_at: string | null;
}

export interface SecretRow {
  id: string;
  space_id: string;
  key_name: string;
  /** Key that the value is sealed with. */
  key_id: string;
  sealed: string;
  description: string;
  version: number;
  created_at: string;
  updated_at: string;
  created_by: string;
}

/** Grows with each change of a space's secrets. */
export interface SecretVersionRow {
  space_id: string;
  version: number;
}

/** An encryption key, sealed with another, while one replaces the other. */
export interface WrappedKeyRow {
  key_id: string;
  wrapped_by: string;
  sealed: string;
  created_at: string;
}

export interface AuditEventRow {
  seq: number;
  id: string;
  created_at: string;
  principal: string | null;
  principal_id: string | null;
  action: string;
  resource: string;
  name: string | null;
  /** Name of the space at the time. */
  space: string | null;
  space_id: string | null;
  outcome: AuditOutcome;
  request_id: string | null;
  address: string | null;
  details: string;
  prev_hash: string;
  hash: string;
}

/** How many audit events there are and the newest one's hash, sealed under a key. There is one row. */
export interface AuditHeadRow {
  id: number;
  seq: number;
  hash: string;
  key_id: string;
  seal: string;
}

export interface AgentRow {
  id: string;
  space_id: string;
  name: string;
  description: string;
  purpose: string;
  source_repo: string;
  source_branch: string | null;
  source_path: string | null;
  stopped: number;
  created_at: string;
  updated_at: string;
  created_by: string;
}

/** What a finished build of one agent is known by; the files are the runtime driver's. */
export interface ArtifactRow {
  artifact_key: string;
  /** Null for what an earlier version has built and no build names. */
  space_id: string | null;
  /** Key of the first generation of the same. */
  identity: string | null;
  generation: number | null;
  /** JSON: ResolvedManifest. */
  manifest: string;
  created_at: string;
}

/** What is to be removed from the runtime, unless a record owns it. */
export interface RemovalRow {
  kind: "artifact" | "build";
  /** An artifact's key, a build's image tag. */
  name: string;
  /** Whose builds' lease its removal takes; the space itself may be gone. */
  space_id: string;
}

export interface BuildRow {
  id: string;
  space_id: string;
  status: BuildStatus;
  /** Null before the build is completed, and again when its image was removed because nobody needed it any more. */
  image_tag: string | null;
  /** JSON: BuiltAgent[]. */
  agents: string;
  force_rebuild: number;
  /** The build doesn't begin before this time, so that several changes make one build. */
  not_before: string;
  cancel_requested: number;
  created_at: string;
  started_at: string | null;
  completed_at: string | null;
  error: string | null;
}

export interface BuildLogRow {
  build_id: string;
  seq: number;
  created_at: string;
  line: string;
}

export interface SessionRow {
  id: string;
  space_id: string;
  name: string | null;
  created_by: string;
  /** Account id of the creator, whose rights hang on it. */
  owner_id: string;
  state: SessionState;
  tier: SessionTier;
  /** What the operator works towards; `removed` is reached when nothing real is left of a deleted session. */
  desired: "running" | "deleted" | "removed";
  build_id: string | null;
  /** 1 once a step that may have made something has begun. */
  attempted: number;
  container_id: string | null;
  persistent_volume_id: string | null;
  parent_session_id: string | null;
  limits: string;
  network: string;
  metadata: string;
  created_at: string;
  started_at: string | null;
  last_activity_at: string;
  paused_at: string | null;
  /** Set when the session is deleted, and only then. */
  terminated_at: string | null;
  termination_reason: string | null;
  error: string | null;
  /** Number of the newest event; events have no gaps. */
  last_event_id: number;
  /** Number of the newest message. */
  last_seq: number;
  /** Since when a person wants a busy session to be paused. */
  pause_requested_at: string | null;
  /** 1 for a fork whose files are not yet copied. */
  fork_pending: number | null;
}

/** A computer that waits, started and without identity, for the session whose id it has. */
export interface PoolComputerRow {
  id: string;
  space_id: string;
  build_id: string | null;
  /** Hash of what is fixed at creation: network, root, disk. */
  shape: string;
  created_at: string;
}

export interface MessageRow {
  id: string;
  session_id: string;
  seq: number;
  role: "user" | "agent" | "system";
  agent: string | null;
  in_reply_to: string | null;
  content: string;
  metadata: string;
  status: MessageStatus;
  error: string | null;
  cancel_requested: number;
  created_at: string;
}

export interface EventRow {
  session_id: string;
  id: number;
  type: string;
  created_at: string;
  data: string;
}

/** What was answered to a request that may be repeated. Who asked what is in the id, which tells neither. */
export interface IdempotencyKeyRow {
  id: string;
  /** Keyed hash of what was asked. */
  fingerprint: string;
  /** The server that handles the first request; empty when none does any more. */
  server_id: string;
  /** 1 when the answer is the one that was given; 0 while it is what is given if all goes well. */
  is_settled: number;
  status: number | null;
  /** JSON: names and values. */
  headers: string | null;
  body: string | null;
  created_at: string;
}

/** When a space with a quota for it has taken messages. */
export interface MessageTimeRow {
  space_id: string;
  created_at: string;
  message_id: string;
}
