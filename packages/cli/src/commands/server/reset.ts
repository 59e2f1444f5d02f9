import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { type Command, createCommand, withExamples } from "../../command.ts";
import { type Context, normalizeServer } from "../../context.ts";
import { CommandFailure } from "../../failure.ts";
import { confirm } from "../../question.ts";
import { runServerCommand } from "../../server-process.ts";
import { lastLines, lastOverrides, stopAll } from "./stop.ts";

export interface ResetOptions {
  readonly yes?: boolean;
}

export function resetCommand(context: Context): Command {
  const command = createCommand(context, "reset")
    .summary("remove everything that Raworc made")
    .description(
      "Stops the control plane and removes everything that this installation made: sessions with their files, builds, " +
        "accounts, keys, the database and logs. Nothing that others made is touched.",
    )
    .option("-y, --yes", "don't ask")
    .action((options: ResetOptions) => runReset(context, options));
  return withExamples(context, command, ["raworc reset", "raworc reset --yes"]);
}

export async function runReset(context: Context, options: ResetOptions): Promise<void> {
  const { config, localOperator, localServer, logins, streams } = context;
  await confirm(context, `Remove all sessions, builds, accounts and keys of ${config.home}?`, options);
  await resetContainers(context);
  const last = await localServer.last();
  const overrides = await lastOverrides(context);
  await stopAll(context);
  const code = await runServerCommand(config, "reset", overrides);
  if (code !== 0) throw new CommandFailure("Not everything could be removed; see above.", ["try again: raworc reset"]);
  if (last !== undefined) await logins.remove(normalizeServer(last.url));
  await localServer.forget();
  await localOperator.forget();
  await rm(dirname(localServer.logPath), { recursive: true, force: true });
  streams.out.line(`${streams.out.paint("green", "✓")} Everything is removed. Begin anew with: raworc start`);
}

/** Removes what runs and lies in containers, if any was ever started. */
async function resetContainers(context: Context): Promise<void> {
  const { containers, logins } = context;
  const state = await containers.last();
  if (state === undefined) return;
  await containers.engine.requireEngine();
  await containers.stopComponents();
  const { code, err, out } = await containers.command(state, "reset");
  if (code !== 0) {
    throw new CommandFailure("Not everything could be removed.", [
      ...lastLines(`${out}\n${err}`),
      "try again: raworc reset",
    ]);
  }
  await containers.removeAll(state);
  if (state.url !== null) await logins.remove(normalizeServer(state.url));
}
