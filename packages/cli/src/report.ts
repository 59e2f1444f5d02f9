import { AnswerError, ApiError, ConnectionError } from "@raworc/client";
import { isLocal } from "./context.ts";
import { CommandFailure, EXIT, type ExitCode, SilentFailure } from "./failure.ts";
import type { Output } from "./streams.ts";
import { cleanText } from "./terminal-text.ts";

export interface Report {
  readonly message: string;
  readonly hints: readonly string[];
  readonly exitCode: ExitCode;
}

/** What a person should read about an error, and what a script should get. Undefined for a bug. */
export function reportOf(error: unknown): Report | undefined {
  if (error instanceof CommandFailure) return error;
  if (error instanceof ApiError) return reportOfApi(error);
  if (error instanceof ConnectionError) {
    const hint = isLocal(error.server)
      ? "start it with: raworc start"
      : "check the address and the network: raworc auth";
    return { message: error.message, hints: [hint], exitCode: EXIT.failed };
  }
  if (error instanceof AnswerError) return { message: error.message, hints: [], exitCode: EXIT.failed };
  return undefined;
}

function reportOfApi(error: ApiError): Report {
  // The detail of a failed validation lists the first few fields already.
  const isComplete = error.errors.every(({ path, message }) => error.message.includes(`${path}: ${message}`));
  const fields = isComplete ? [] : error.errors.map(({ path, message }) => `${path}: ${message}`);
  const isLoggedOut = error.status === 401 && error.code !== "bad_credentials";
  const login = isLoggedOut ? ["log in with: raworc auth login"] : [];
  const request = error.status >= 500 && error.requestId !== undefined ? [`request id: ${error.requestId}`] : [];
  return {
    message: error.message,
    hints: [...fields, ...login, ...request],
    exitCode: isLoggedOut ? EXIT.notLoggedIn : EXIT.failed,
  };
}

/** Tells of an error on stderr and gives the exit code. */
export function reportError(error: unknown, err: Output): ExitCode {
  if (error instanceof SilentFailure) return error.exitCode;
  const report = reportOf(error);
  if (report === undefined) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    err.line(`${err.paint("red", "error:")} raworc failed in a way that nobody expected:`);
    err.line(cleanText(text));
    return EXIT.failed;
  }
  writeReport(report, err);
  return report.exitCode;
}

export function writeReport(report: Pick<Report, "message" | "hints">, err: Output): void {
  const [first = "", ...more] = cleanText(report.message).split("\n");
  err.line(`${err.paint("red", "error:")} ${first}`);
  for (const line of [...more, ...report.hints.map(cleanText)]) err.line(`       ${line}`);
}
