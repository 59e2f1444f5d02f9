/** Exit codes: what scripts may rely on. Only `exec` has others: those of what it ran. */
export const EXIT = { fine: 0, failed: 1, usage: 2, notLoggedIn: 4 } as const;
export type ExitCode = number;

/** A command ends without success. The hints are lines that say what to do. */
export class CommandFailure extends Error {
  override readonly name: string = "CommandFailure";
  readonly exitCode: ExitCode;
  readonly hints: readonly string[];

  constructor(message: string, hints: readonly string[] = [], exitCode: ExitCode = EXIT.failed) {
    super(message);
    this.hints = hints;
    this.exitCode = exitCode;
  }
}

/** The command was written wrongly. */
export class UsageFailure extends CommandFailure {
  override readonly name = "UsageFailure";

  constructor(message: string, hints: readonly string[] = []) {
    super(message, hints, EXIT.usage);
  }
}

/** Everything was said already; only the exit code is left. */
export class SilentFailure extends CommandFailure {
  override readonly name = "SilentFailure";

  constructor(exitCode: ExitCode = EXIT.failed) {
    super("", [], exitCode);
  }
}
