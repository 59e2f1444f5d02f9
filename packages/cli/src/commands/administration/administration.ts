import type { Context } from "../../context.ts";
import { SilentFailure } from "../../failure.ts";
import { runServerCommand } from "../../server-process.ts";
import { lastOverrides } from "../server/stop.ts";

/**
 * Runs a command of the server's program on this home's installation, with the options of its last start. It reaches
 * database and keys itself: what it says of them doesn't rest on the word of a server that runs.
 */
export async function runAdministration(context: Context, command: "audit-verify" | "rotate-key"): Promise<void> {
  const containers = await context.containers.running();
  if (containers !== undefined) {
    const { code, err, out } = await context.containers.command(containers, command);
    if (out !== "") context.streams.out.line(out);
    if (err !== "") context.streams.err.line(err);
    if (code !== 0) throw new SilentFailure();
    return;
  }
  const overrides = await lastOverrides(context);
  const code = await runServerCommand(context.config, command, overrides);
  if (code !== 0) throw new SilentFailure();
}
