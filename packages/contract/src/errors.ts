import { z } from "zod";

/**
 * The closed catalogue of error codes. A code is stable: scripts may depend on it.
 * `status` is the HTTP status it is sent with, `title` the short text of its kind.
 */
export const ERRORS = {
  bad_request: { status: 400, title: "The request could not be read" },
  malformed_json: { status: 400, title: "The body is not valid JSON" },
  unauthenticated: { status: 401, title: "A valid token is needed" },
  bad_credentials: { status: 401, title: "User or password is wrong" },
  forbidden: { status: 403, title: "Not allowed" },
  not_found: { status: 404, title: "Not found" },
  method_not_allowed: { status: 405, title: "Method not allowed" },
  conflict: { status: 409, title: "Conflict with the present state" },
  name_taken: { status: 409, title: "The name is taken" },
  wrong_state: { status: 409, title: "Not possible in this state" },
  in_use: { status: 409, title: "Still in use" },
  built_in_role: { status: 409, title: "Built-in roles can't be changed" },
  last_admin: { status: 409, title: "The last active admin must stay" },
  agent_stopped: { status: 409, title: "The agent is stopped" },
  idempotency_conflict: { status: 409, title: "The first request with this key still runs" },
  precondition_failed: { status: 412, title: "The object has changed" },
  too_large: { status: 413, title: "Too large" },
  unsupported_media_type: { status: 415, title: "Media type not supported" },
  range_not_satisfiable: { status: 416, title: "The range is outside of the file" },
  validation_failed: { status: 422, title: "Validation failed" },
  idempotency_mismatch: { status: 422, title: "The key was used with another body" },
  local_sources_disabled: { status: 422, title: "Local sources are not allowed" },
  not_a_file: { status: 422, title: "Not a file" },
  unknown_agent: { status: 422, title: "No such agent in the build" },
  rate_limited: { status: 429, title: "Too many requests" },
  quota_exceeded: { status: 429, title: "A quota of the space is used up" },
  internal: { status: 500, title: "Internal error" },
  computer_unreachable: { status: 502, title: "The session computer does not answer" },
  port_unreachable: { status: 502, title: "Nothing answers on the port" },
  not_ready: { status: 503, title: "Not ready" },
  draining: { status: 503, title: "The server is stopping" },
  disk_full: { status: 507, title: "The disk is full" },
} as const satisfies Record<string, { status: number; title: string }>;

export type ErrorCode = keyof typeof ERRORS;

/** One failed field of a request. `path` is dotted, `body.name` for example. */
export const FieldError = z.object({ path: z.string(), message: z.string() }).readonly();
export type FieldError = z.infer<typeof FieldError>;

/** RFC 9457 problem details, the body of every answer with a status of 400 or more. */
export const Problem = z
  .object({
    type: z.url(),
    title: z.string(),
    status: z.number().int().min(400).max(599),
    detail: z.string(),
    code: z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]),
    errors: z.array(FieldError).readonly().optional(),
  })
  .readonly();
export type Problem = z.infer<typeof Problem>;

export interface RaworcErrorOptions {
  readonly cause?: unknown;
  readonly errors?: readonly FieldError[];
  /** Seconds after which a repeated request may succeed. */
  readonly retryAfterSeconds?: number;
}

/** An expected failure. The message is for the caller and says what to do about it. */
export class RaworcError extends Error {
  override readonly name = "RaworcError";
  readonly code: ErrorCode;
  readonly errors: readonly FieldError[] | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ErrorCode, message: string, options: RaworcErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.errors = options.errors;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }

  toProblem(): Problem {
    const { status, title } = ERRORS[this.code];
    const problem: Problem = {
      type: `https://raworc.dev/errors/${this.code}`,
      title,
      status,
      detail: this.message,
      code: this.code,
    };
    return this.errors === undefined ? problem : { ...problem, errors: this.errors };
  }
}

export function isRaworcError(error: unknown, code?: ErrorCode): error is RaworcError {
  return error instanceof RaworcError && (code === undefined || error.code === code);
}
