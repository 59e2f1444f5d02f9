import { type ErrorCode, RaworcError } from "@raworc/contract";
import type { FastifyReply } from "fastify";
import { ZodError } from "zod";
import { DriverError } from "../runtime/driver.ts";
import { fieldErrorsOf } from "./validation.ts";

interface FastifyFailure {
  readonly code: string;
  readonly statusCode: number;
}

function isFastifyFailure(error: unknown): error is FastifyFailure {
  if (typeof error !== "object" || error === null || !("code" in error) || !("statusCode" in error)) return false;
  return typeof error.code === "string" && typeof error.statusCode === "number";
}

const FRAMEWORK_PROBLEMS: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  400: ["bad_request", "The request could not be read. Check its path, headers and length."],
  404: ["not_found", "There is no such path. The document at /api/v0/openapi.json lists all calls."],
  413: ["too_large", "The body is larger than this call takes. Send less than 8 MiB."],
  414: ["not_found", "A part of the path is longer than any name or id."],
  415: ["unsupported_media_type", "Send the body as JSON, with Content-Type: application/json."],
};

/**
 * The problem that an error is answered with. Errors that nobody expected become `internal`, which says nothing
 * about them: the caller of this function logs them.
 */
export function problemOf(error: unknown): RaworcError {
  if (error instanceof RaworcError) return error;
  if (error instanceof ZodError) return validationError(error, undefined, "");
  if (isFastifyFailure(error) && error.statusCode < 500) {
    const [code, detail] = FRAMEWORK_PROBLEMS[error.statusCode] ?? ["bad_request", "The request could not be read."];
    return new RaworcError(code, detail, { cause: error });
  }
  if (error instanceof DriverError) return new RaworcError("computer_unreachable", error.describe(), { cause: error });
  return new RaworcError(
    "internal",
    "Something went wrong in the server. Its log has the details under the request id.",
    {
      cause: error,
    },
  );
}

/** `origin` names the part of the request, and is put before each path: `body`, `query`. */
export function validationError(error: ZodError, input: unknown, origin: string): RaworcError {
  const errors = fieldErrorsOf(error, input, origin);
  const shown = errors.slice(0, 3).map(({ path, message }) => `${path}: ${message}`);
  const more = errors.length > shown.length ? `; and ${errors.length - shown.length} more` : "";
  return new RaworcError("validation_failed", `${shown.join("; ")}${more}`, { errors });
}

/** What a server says that stops. */
export function drainingError(): RaworcError {
  return new RaworcError("draining", "The server is stopping. Try again in a moment.", { retryAfterSeconds: 2 });
}

/** Headers of every answer. Pages for people set a policy of their own. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

/** Headers that go with a problem because of what it says. */
function problemHeaders(problem: RaworcError): Record<string, string> {
  const headers: Record<string, string> = { "content-type": "application/problem+json" };
  if (problem.retryAfterSeconds !== undefined) {
    headers["retry-after"] = String(Math.max(1, Math.ceil(problem.retryAfterSeconds)));
  }
  if (problem.status === 401) headers["www-authenticate"] = 'Bearer realm="raworc"';
  if (problem.code === "draining") headers["connection"] = "close";
  return headers;
}

export function sendProblem(reply: FastifyReply, problem: RaworcError): FastifyReply {
  return reply
    .code(problem.status)
    .headers(problemHeaders(problem))
    .serializer((payload: unknown) => JSON.stringify(payload))
    .send(problem.toProblem());
}

/** A whole HTTP/1.1 answer, for a socket whose request was never understood. */
export function rawProblemAnswer(problem: RaworcError): string {
  const body = JSON.stringify(problem.toProblem());
  const headers = { ...SECURITY_HEADERS, ...problemHeaders(problem), connection: "close" };
  const lines = Object.entries({ ...headers, "content-length": Buffer.byteLength(body) });
  const head = lines.map(([name, value]) => `${name}: ${value}`).join("\r\n");
  return `HTTP/1.1 ${problem.status} ${problem.toProblem().title}\r\n${head}\r\n\r\n${body}`;
}
