import { type Command, createCommand, withExamples } from "../../command.ts";
import type { ContainersState } from "../../containers/local-containers.ts";
import type { Context } from "../../context.ts";
import { CommandFailure } from "../../failure.ts";
import type { ProcessState, ServerState } from "../../local-server.ts";
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
  const { containers } = context;
  const state = await containers.running();
  if (state !== undefined) return stopRunningContainers(context, state, options);
  const overrides = await lastOverrides(context);
  if (!(await stopAll(context))) out.line("Raworc is not running.");
  if (options.cleanup === true) await removeComputers(context, overrides);
}

async function stopRunningContainers(context: Context, state: ContainersState, options: StopOptions): Promise<void> {
  const { containers } = context;
  if (options.cleanup === true) {
    await containers.stopComponents();
    await removeComputersByContainer(context, state);
  }
  await stopContainers(context);
}

/** Stops server, operator and database that run as containers, and says so. */
export async function stopContainers({ config, containers, streams }: Context): Promise<void> {
  const { err, out } = streams;
  const spinner = new Spinner(err, config);
  spinner.start("Stopping Raworc...");
  await containers.stop().finally(() => spinner.stop());
  out.line(`${out.paint("green", "✓")} Raworc has stopped.`);
}

export async function removeComputersByContainer(context: Context, state: ContainersState): Promise<void> {
  const { code, err, out } = await context.containers.command(state, "cleanup");
  if (code !== 0) {
    throw new CommandFailure("The computers of sessions could not all be removed.", lastLines(`${out}\n${err}`));
  }
  context.streams.out.line(`${context.streams.out.paint("green", "✓")} The computers of sessions are removed.`);
}

export function lastLines(text: string): string[] {
  return text.trim().split("\n").slice(-5);
}

/** What the server of this home was started with last, or its operator where that is all there was. */
export async function lastOverrides({ localOperator, localServer }: Context): Promise<ServerState["overrides"]> {
  return ((await localServer.last()) ?? (await localOperator.last()))?.overrides ?? {};
}

/** Stops every process of this home, the server first: what it has begun may need the operator. False where none runs. */
export async function stopAll(context: Context): Promise<boolean> {
  const server = await context.localServer.running();
  const operator = await context.localOperator.running();
  if (server !== undefined) await stopServer(context, server);
  if (operator !== undefined) await stopOperator(context, operator);
  return server !== undefined || operator !== undefined;
}

/** Stops the server and says so. */
export function stopServer(context: Context, state: ServerState): Promise<void> {
  return stopProcess(context, "Raworc", () => context.localServer.stop(state, PATIENCE_MS));
}

/** Stops an operator that is a process of its own and says so. */
export function stopOperator(context: Context, state: ProcessState): Promise<void> {
  return stopProcess(context, "The operator", () => context.localOperator.stop(state, PATIENCE_MS));
}

async function stopProcess(context: Context, name: string, stop: () => Promise<boolean>): Promise<void> {
  const { err, out } = context.streams;
  const spinner = new Spinner(err, context.config);
  spinner.start("Stopping Raworc...");
  const wentByItself = await stop().finally(() => spinner.stop());
  out.line(`${out.paint("green", "✓")} ${name} has stopped.`);
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
