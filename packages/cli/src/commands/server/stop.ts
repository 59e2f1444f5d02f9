import { type Command, createCommand, withExamples } from "../../command.ts";
import type { Context } from "../../context.ts";
import { CommandFailure } from "../../failure.ts";
import type { ServerState } from "../../local-server.ts";
import { runServerCommand } from "../../server-process.ts";
import { Spinner } from "../../spinner.ts";

export interface StopOptions {
  readonly cleanup?: boolean;
}

/** The server gives running requests their time; what it leaves off is taken up by the next start. */
const PATIENCE_MS = 40_000;

export function stopCommand(context: Context): Command {
  const command = createCommand(context, "stop")
    .summary("stop the control plane")
    .description(
      "Stops the control plane. Session computers go on and are taken up by the next start; with --cleanup they are " +
        "removed. Records, files and volumes of sessions stay in both cases.",
    )
    .option("--cleanup", "also remove the computers of sessions")
    .action((options: StopOptions) => runStop(context, options));
  return withExamples(context, command, ["raworc stop", "raworc stop --cleanup"]);
}

export async function runStop(context: Context, options: StopOptions): Promise<void> {
  const { out } = context.streams;
  const running = await context.localServer.running();
  const overrides = (await context.localServer.last())?.overrides ?? {};
  if (running === undefined) out.line("Raworc is not running.");
  else await stopServer(context, running);
  if (options.cleanup === true) await removeComputers(context, overrides);
}

/** Stops the server and says so. */
export async function stopServer(context: Context, state: ServerState): Promise<void> {
  const { err, out } = context.streams;
  const spinner = new Spinner(err, context.config);
  spinner.start("Stopping Raworc...");
  const wentByItself = await context.localServer.stop(state, PATIENCE_MS).finally(() => spinner.stop());
  out.line(`${out.paint("green", "✓")} Raworc has stopped.`);
  if (!wentByItself) {
    err.line(
      `${err.paint("yellow", "note:")} it did not end within ${PATIENCE_MS / 1000} s and was killed; nothing is lost by that`,
    );
  }
}

export async function removeComputers(context: Context, overrides: ServerState["overrides"]): Promise<void> {
  const code = await runServerCommand(context.config, "cleanup", overrides);
  if (code !== 0) throw new CommandFailure("The computers of sessions could not all be removed; see above.");
  context.streams.out.line(`${context.streams.out.paint("green", "✓")} The computers of sessions are removed.`);
}
