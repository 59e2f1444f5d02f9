import { FAILURES, type FailureCode } from "@raworc/contract";
import type { AgentContextText } from "./agent-context.ts";
import type { Cancellation } from "./cancellation.ts";
import { DiskFullError } from "./disk-full.ts";
import { ERROR_TEXT_MAX } from "./limits.ts";
import { ReplyTooLongError } from "./reply.ts";

/** How an agent's work on a message ended. */
export type AgentOutcome =
  | { readonly status: "done"; readonly tokens?: Tokens; readonly cost?: number }
  | { readonly status: "cancelled" }
  | { readonly status: "failed"; readonly code: FailureCode; readonly message: string };

export interface Tokens {
  readonly input?: number;
  readonly output?: number;
}

/** What a running message gives its agent to work with. */
export interface AgentTask {
  readonly messageId: string;
  readonly content: string;
  readonly context: AgentContextText;
  /** A streamed piece. Throws when it can't be kept; then the agent is ended. */
  readonly onDelta: (text: string) => void;
  /** A piece of a reply that is not streamed. Throws likewise. */
  readonly onPart: (text: string) => void;
  /** After what came together. */
  readonly onPause: () => void;
  readonly cancellation: Cancellation;
}

export function failed(code: FailureCode, message: string): AgentOutcome {
  return { status: "failed", code, message: message.slice(0, ERROR_TEXT_MAX) };
}

/** The code when it is one of the catalogue: an adapter's word comes from beside hostile code. */
export function failureCode(value: unknown, otherwise: FailureCode): FailureCode {
  return typeof value === "string" && Object.hasOwn(FAILURES, value) ? (value as FailureCode) : otherwise;
}

/** A piece of the reply could not be kept. */
export function refused(error: unknown): AgentOutcome {
  if (error instanceof DiskFullError) return failed("disk_full", error.message);
  if (error instanceof ReplyTooLongError) return failed("handler_failed", `${error.message}; it was ended.`);
  return failed("server_error", "The reply could not be kept.");
}

export function describeExit(code: number | null, signal: string | null): string {
  if (signal === "SIGKILL") return "killed; perhaps it needed more memory than the session has (memory_mb)";
  return signal === null ? `exit code ${code}` : `ended by ${signal}`;
}
