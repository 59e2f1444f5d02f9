/**
 * JSON-RPC 2.0 between the host and an agent's worker over the worker's stdin and stdout, one message per LF-ended line of UTF-8.
 * Descriptor 3 of a worker is a pipe to the log of its stdout, descriptor 2 one to that of its stderr. Before the agent's
 * code is loaded the adapter moves the protocol to descriptors of its own that children don't inherit, opens /dev/null as
 * descriptor 0, and puts descriptor 3 in the place of descriptor 1: whatever the agent and its children print goes to the log.
 * (Node.js can't do that itself: its adapter is started with all of it done, the protocol at descriptors 4 and 5.)
 *
 * Host to worker: `initialize` (request, once), `message` (request), `cancel` (notification).
 * Worker to host: `delta` and `part` (notifications) while a `message` runs, then its response.
 *
 * Before a response the adapter flushes stdout and stderr: what the host then finds in their pipes was printed for this message.
 */
export interface WorkerInitialize {
  readonly agent: string;
  /** Folder of the agent, added to the import path. */
  readonly path: string;
  readonly handler: string;
  readonly session_id: string;
}

/** The result of `initialize`. */
export interface WorkerReady {
  /** It understands `history_keeps`. */
  readonly keeps_history?: boolean;
}

export interface WorkerMessage {
  readonly message_id: string;
  readonly content: string;
  /** AgentContext of host.ts; the entries of its history have no `seq`. */
  readonly context: Readonly<Record<string, unknown>>;
  /**
   * So many entries at the end of the history of the message before are the beginning of this one's, and `context.history`
   * holds those after them. Handlers get the whole. Left out, `context.history` is whole.
   */
  readonly history_keeps?: number;
}

/** A streamed piece of the reply; shown at once. */
export interface WorkerDelta {
  readonly message_id: string;
  readonly text: string;
}

/** A piece of a long result that is not streamed, at most WORKER_PART_BYTES each. */
export type WorkerPart = WorkerDelta;

export interface WorkerResult {
  /** The reply, of at most WORKER_PART_BYTES; left out when it came as deltas or parts. */
  readonly content?: string;
  readonly tokens?: { readonly input?: number; readonly output?: number };
  readonly cost?: number;
}

export const WORKER_PART_BYTES = 256 * 1024;
/** A longer line is a fault of the worker, which is ended. */
export const WORKER_LINE_MAX_BYTES = 8 * 1024 * 1024;

/** JSON-RPC error codes of an adapter; `data.failure` is one of FAILURES. */
export const WORKER_ERRORS = {
  handler_failed: -32000,
  handler_not_found: -32001,
  agent_exited: -32002,
  cancelled: -32003,
  agent_start_failed: -32004,
} as const;
