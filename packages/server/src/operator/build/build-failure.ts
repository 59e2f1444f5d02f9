import type { FailureCode } from "@raworc/contract";

/** An agent that can't be built as it is. Trying again changes nothing; the message says what would. */
export class BuildFailure extends Error {
  override readonly name = "BuildFailure";
  readonly code: FailureCode;
  /** The last lines of the log, cleaned and bounded. */
  readonly logTail: readonly string[];

  constructor(code: FailureCode, message: string, logTail: readonly string[] = []) {
    super(message);
    this.code = code;
    this.logTail = logTail;
  }

  /** For the build's record: the message, and below it the end of the log. */
  describe(): string {
    return this.logTail.length === 0 ? this.message : `${this.message}\n\n${this.logTail.join("\n")}`;
  }
}
