import type { FailureCode } from "@raworc/contract";

/** Of each line of the log in a record; the log itself has more of it. */
const LINE_CHARACTERS = 400;

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
    if (this.logTail.length === 0) return this.message;
    const lines = this.logTail.map((line) =>
      line.length > LINE_CHARACTERS ? `${line.slice(0, LINE_CHARACTERS)}…` : line,
    );
    return `${this.message}\n\n${lines.join("\n")}`;
  }
}
