import { ApiError } from "@raworc/client";
import { type Command, createCommand, withExamples } from "../../command.ts";
import type { Context } from "../../context.ts";
import { CommandFailure } from "../../failure.ts";
import { confirm } from "../../question.ts";
import { reportError } from "../../report.ts";
import { Spinner } from "../../spinner.ts";

export interface CleanupOptions {
  readonly yes?: boolean;
  readonly space?: string;
}

/** Deletions that run at the same time. */
const PARALLEL = 8;

export function cleanupCommand(context: Context): Command {
  const command = createCommand(context, "cleanup")
    .summary("delete all sessions")
    .description("Deletes all sessions that you can see, with their files. Asks first.")
    .option("-s, --space <space>", "only those of a space")
    .option("-y, --yes", "don't ask")
    .action((options: CleanupOptions) => runCleanup(context, options));
  return withExamples(context, command, ["raworc cleanup", "raworc cleanup --space team-a --yes"]);
}

export async function runCleanup(context: Context, options: CleanupOptions): Promise<void> {
  const { err, out } = context.streams;
  const client = await context.client();
  const query = { limit: 1000, space: options.space };
  const ids = await Array.fromAsync(client.items("sessions.list", { query }), ({ id }) => id);
  if (ids.length === 0) {
    out.line("There are no sessions.");
    return;
  }
  const count = ids.length === 1 ? "1 session" : `${ids.length} sessions`;
  await confirm(context, `Delete ${count} with all files in them?`, options);
  const spinner = new Spinner(err, context.config);
  spinner.start(`Deleting ${count}...`);
  const failures: unknown[] = [];
  const waiting = [...ids];
  const work = async (): Promise<void> => {
    for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
      try {
        await client.call("sessions.delete", { params: { id } });
      } catch (error) {
        // Somebody else was faster.
        if (!(error instanceof ApiError && error.status === 404)) failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work)).finally(() => spinner.stop());
  if (failures.length > 0) {
    reportError(failures[0], err);
    throw new CommandFailure(`${failures.length} of ${count} could not be deleted.`);
  }
  out.line(`${out.paint("green", "✓")} ${count} deleted`);
}
