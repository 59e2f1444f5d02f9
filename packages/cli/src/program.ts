import { type Command, CommanderError, createCommand, exitCodeOf, withExamples } from "./command.ts";
import { adminCommand } from "./commands/administration/admin.ts";
import { auditCommand } from "./commands/administration/audit.ts";
import { apiCommand } from "./commands/api/api.ts";
import { authCommand } from "./commands/auth/status.ts";
import { buildCommand } from "./commands/build/build.ts";
import { completionCommand } from "./commands/completion/completion.ts";
import { copyCommand } from "./commands/copy/copy.ts";
import { doctorCommand } from "./commands/doctor/doctor.ts";
import { execCommand } from "./commands/exec/exec.ts";
import { logsCommand } from "./commands/logs/logs.ts";
import { agentCommand } from "./commands/resource/agent.ts";
import { applyCommand } from "./commands/resource/apply.ts";
import { createResourceCommand } from "./commands/resource/create.ts";
import { deleteCommand } from "./commands/resource/delete.ts";
import { describeCommand } from "./commands/resource/describe.ts";
import { getCommand } from "./commands/resource/get.ts";
import { nounCommand } from "./commands/resource/noun.ts";
import { resetCommand } from "./commands/server/reset.ts";
import { restartCommand } from "./commands/server/restart.ts";
import { startCommand } from "./commands/server/start.ts";
import { statusCommand } from "./commands/server/status.ts";
import { stopCommand } from "./commands/server/stop.ts";
import { cleanupCommand } from "./commands/session/cleanup.ts";
import { sessionCommand } from "./commands/session/session.ts";
import type { Context } from "./context.ts";
import { EXIT, type ExitCode } from "./failure.ts";
import { reportError } from "./report.ts";
import { VERSION } from "./version.ts";

/** All commands, in the groups in which the help shows them. */
export function createProgram(context: Context): Command {
  const program = createCommand(context, "raworc")
    .description("Raworc runs AI agents of any framework, each session in an isolated computer of its own.")
    .version(VERSION, "-V, --version", "show the version")
    .enablePositionalOptions()
    .addHelpCommand(
      createCommand(context, "help").argument("[command]").summary("show help for a command").helpGroup("Other:"),
    );
  const groups: readonly (readonly [string, readonly Command[]])[] = [
    [
      "Server:",
      [
        startCommand(context),
        stopCommand(context),
        restartCommand(context),
        statusCommand(context),
        doctorCommand(context),
        logsCommand(context),
        auditCommand(context),
        adminCommand(context),
        resetCommand(context),
      ],
    ],
    [
      "Agents:",
      [agentCommand(context), buildCommand(context), nounCommand(context, "space"), nounCommand(context, "secret")],
    ],
    ["Sessions:", [sessionCommand(context), execCommand(context), copyCommand(context), cleanupCommand(context)]],
    [
      "Resources:",
      [
        getCommand(context),
        describeCommand(context),
        createResourceCommand(context),
        deleteCommand(context),
        applyCommand(context),
      ],
    ],
    ["Other:", [authCommand(context), apiCommand(context), completionCommand(context)]],
  ];
  for (const [group, commands] of groups) {
    for (const command of commands) program.addCommand(command.helpGroup(group));
  }
  return withExamples(context, program, [
    "raworc start",
    "raworc create agent poet --source-repo owner/poet",
    "raworc build --wait",
    "raworc session",
  ]);
}

/** Runs one command line and gives its exit code. Never throws. */
export async function runProgram(context: Context, words: readonly string[]): Promise<ExitCode> {
  const program = createProgram(context);
  try {
    if (words.length === 0) {
      program.outputHelp();
      return EXIT.fine;
    }
    const [first, topic] = words;
    if (first === "help" && topic !== undefined && !program.commands.some((command) => command.name() === topic)) {
      // Commander would show the general help; a topic that is not there is a mistake like a command that is not there.
      await program.parseAsync([topic], { from: "user" });
    }
    await program.parseAsync(words, { from: "user" });
    return EXIT.fine;
  } catch (error) {
    if (error instanceof CommanderError) return exitCodeOf(error);
    return reportError(error, context.streams.err);
  }
}
