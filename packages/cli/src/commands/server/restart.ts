import { type Command, createCommand } from "../../command.ts";
import { componentsOf } from "../../components.ts";
import type { ContainersState } from "../../containers/local-containers.ts";
import type { Context } from "../../context.ts";
import type { Overrides } from "../../local-server.ts";
import { launch, launchContainers } from "./start.ts";
import { removeComputers, runStop, type StopOptions, stopAll } from "./stop.ts";

export function restartCommand(context: Context): Command {
  return createCommand(context, "restart")
    .summary("stop the control plane and start it again")
    .description("Stops the control plane and starts it again with the options of the last start.")
    .option("--cleanup", "also remove the computers of sessions")
    .action((options: StopOptions) => runRestart(context, options));
}

export async function runRestart(context: Context, options: StopOptions): Promise<void> {
  const containers = await containersToRestart(context);
  if (containers !== undefined) {
    await runStop(context, options);
    return launchContainers(context, containers.overrides);
  }
  const overrides = await toRestart(context);
  await stopAll(context);
  if (options.cleanup === true) await removeComputers(context, overrides[0] ?? {});
  for (const each of overrides) await launch(context, each, false);
}

/** The containers where they run, or were what ran last. */
async function containersToRestart(context: Context): Promise<ContainersState | undefined> {
  const { containers, localServer } = context;
  const [state, server] = [await containers.last(), await localServer.last()];
  if (state === undefined || (await containers.running()) !== undefined) return state;
  if ((await localServer.running()) !== undefined) return undefined;
  return server === undefined || server.started_at < (state.started_at ?? "") ? state : undefined;
}

/** The variables of each process that runs; where none does, of those that ran last. */
async function toRestart({ localOperator, localServer }: Context): Promise<Overrides[]> {
  const running = [await localServer.running(), await localOperator.running()].filter((state) => state !== undefined);
  if (running.length > 0) return running.map(({ overrides }) => overrides);
  const [server, operator] = [await localServer.last(), await localOperator.last()];
  if (server === undefined) return [operator?.overrides ?? {}];
  const isWhole = operator === undefined || componentsOf(server.overrides).includes("operator");
  return isWhole ? [server.overrides] : [server.overrides, operator.overrides];
}
