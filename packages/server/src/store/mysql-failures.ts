import { RaworcError } from "@raworc/contract";

/**
 * What a failed statement means for the transaction around it.
 * - `unreachable`: the database is gone, for now.
 * - `conflict`: another transaction was in the way; nothing is wrong with this one.
 * - `crossed`: another transaction wrote between a check and the write that relied on it, so a second look tells more.
 * - `fault`: anything else.
 */
export type Failure = "unreachable" | "conflict" | "crossed" | "fault";

const CONFLICTS: ReadonlySet<number> = new Set([
  1205, // lock wait timeout
  1213, // deadlock; certification failure in a Galera cluster
  1020, // record has changed since last read (MariaDB)
]);

const CROSSED: ReadonlySet<number> = new Set([
  1062, // duplicate key
  1451, // a row that is still referenced
  1452, // a reference to a row that is gone
]);

const UNREACHABLE_NUMBERS: ReadonlySet<number> = new Set([
  1040, // too many connections
  1053, // shutdown in progress
  1077, // normal shutdown
  1152, // aborted connection
  1290, // read only after a failover
  1317, // interrupted, as by a shutdown
  1836, // read-only mode
  1927, // connection was killed (MariaDB)
  3169, // session was killed (MySQL)
  4031, // disconnected for inactivity (MySQL)
]);

const UNREACHABLE_CODES: ReadonlySet<string> = new Set([
  "PROTOCOL_CONNECTION_LOST",
  "PROTOCOL_SEQUENCE_TIMEOUT",
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOENT", // the Unix socket of a server that does not run
]);

export function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return "fault";
  const { errno, code, fatal } = error as Error & { errno?: unknown; code?: unknown; fatal?: unknown };
  if (typeof errno === "number" && CONFLICTS.has(errno)) return "conflict";
  if (typeof errno === "number" && CROSSED.has(errno)) return "crossed";
  if (typeof errno === "number" && UNREACHABLE_NUMBERS.has(errno)) return "unreachable";
  if (typeof code === "string" && UNREACHABLE_CODES.has(code)) return "unreachable";
  // A connection that closed under a statement says no more than this.
  if (fatal === true && (code === undefined || typeof errno !== "number")) return "unreachable";
  return "fault";
}

/** What callers hear while the database is gone. */
export function databaseGone(cause: unknown): RaworcError {
  return new RaworcError("not_ready", "The database can't be reached at the moment; try again shortly.", {
    cause,
    retryAfterSeconds: 1,
  });
}

/** The database was lost while it committed: only a look at what is recorded tells whether it did. */
export function commitUnknown(cause: unknown): RaworcError {
  const detail = "The database was lost while this was recorded; look whether it was, or repeat it with the same key.";
  return new RaworcError("not_ready", detail, { cause, retryAfterSeconds: 1 });
}

export function tooBusy(cause: unknown): RaworcError {
  const detail = "Too many changes of the same object at once; try again shortly.";
  return new RaworcError("not_ready", detail, { cause, retryAfterSeconds: 1 });
}
