import type { FieldError } from "@raworc/contract";

export interface ApiErrorFields {
  readonly status: number;
  /** A code of the catalogue, or one that a newer server knows. */
  readonly code: string;
  readonly detail: string;
  readonly errors?: readonly FieldError[];
  readonly requestId?: string | undefined;
  readonly retryAfterSeconds?: number | undefined;
}

/** The server refused or failed. The message is the server's own `detail`, which says what to do. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly code: string;
  readonly errors: readonly FieldError[];
  readonly requestId: string | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(fields: ApiErrorFields) {
    super(fields.detail);
    this.status = fields.status;
    this.code = fields.code;
    this.errors = fields.errors ?? [];
    this.requestId = fields.requestId;
    this.retryAfterSeconds = fields.retryAfterSeconds;
  }
}

/** No answer came: nobody listens there, the name is unknown, the connection broke. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
  readonly server: string;
  /** In a few words: `connection refused`. */
  readonly reason: string;

  constructor(server: string, cause: unknown) {
    const reason = reasonOf(cause);
    super(`No Raworc server answers at ${server} (${reason}).`, { cause });
    this.server = server;
    this.reason = reason;
  }
}

/** Somebody answered, but not as the contract says: another program, or a server of another version. */
export class AnswerError extends Error {
  override readonly name = "AnswerError";
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "the connection was cut",
  UND_ERR_SOCKET: "the connection was cut",
  ENOTFOUND: "the host name is unknown",
  EAI_AGAIN: "the host name can't be resolved now",
  EHOSTUNREACH: "the host can't be reached",
  ENETUNREACH: "the network can't be reached",
  ETIMEDOUT: "no answer in time",
  UND_ERR_CONNECT_TIMEOUT: "no answer in time",
  UND_ERR_HEADERS_TIMEOUT: "no answer in time",
  UND_ERR_BODY_TIMEOUT: "no answer in time",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is self-signed; set NODE_EXTRA_CA_CERTS to the file that signs it",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is self-signed; set NODE_EXTRA_CA_CERTS to the file that signs it",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "its certificate can't be verified; set NODE_EXTRA_CA_CERTS to the file that signs it",
  CERT_HAS_EXPIRED: "its certificate has expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name",
};

/** Fetch wraps what happened in one or more errors; the innermost has the code. */
function reasonOf(cause: unknown): string {
  let error: unknown = cause;
  for (let depth = 0; depth < 5 && error instanceof Error; depth += 1) {
    if (error instanceof AggregateError && error.errors[0] instanceof Error) error = error.errors[0];
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    const reason = REASONS[code];
    if (reason !== undefined) return reason;
    const inner: unknown = error instanceof Error ? error.cause : undefined;
    if (inner === undefined) break;
    error = inner;
  }
  return error instanceof Error ? error.message : String(error);
}
