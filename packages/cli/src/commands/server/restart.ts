import { type Command, createCommand } from "../../command.ts";
import type { Context } from "../../context.ts";
import { launch } from "./start.ts";
import { removeComputers, type StopOptions, stopServer } from "./stop.ts";

export function restartCommand(context: Context): Command {
  return createCommand(context, "restart")
    .summary("stop the control plane and start it again")
    .description("Stops the control plane and starts it again with the options of the last start.")
    .option("--cleanup", "also remove the computers of sessions")
    .action((options: StopOptions) => runRestart(context, options));
}

export async function runRestart(context: Context, options: StopOptions): Promise<void> {
  const overrides = (await context.localServer.last())?.overrides ?? {};
  const running = await context.localServer.running();
  if (running !== undefined) await stopServer(context, running);
  if (options.cleanup === true) await removeComputers(context, overrides);
  await launch(context, overrides, false);
}
