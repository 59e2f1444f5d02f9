import { z } from "zod";
import type { Context } from "../../context.ts";
import { askServerCommand } from "../../server-process.ts";
import { lastOverrides } from "../server/stop.ts";
import type { Finding } from "./checks.ts";

const Findings = z.array(
  z.object({ name: z.string(), state: z.enum(["ok", "bad"]), text: z.string(), remedy: z.string().optional() }),
);

/** Configuration, database and keys, as the server of this home would find them. */
export async function checkInstallation(context: Context): Promise<Finding[]> {
  const containers = await context.containers.running();
  const { code, err, out } =
    containers === undefined
      ? await askServerCommand(context.config, "check", await lastOverrides(context))
      : await context.containers.command(containers, "check");
  if (code === 0) {
    return Findings.parse(JSON.parse(out)).map(({ remedy, ...finding }) => ({
      ...finding,
      ...(remedy === undefined ? {} : { remedy }),
    }));
  }
  const [, ...problems] = err.trim().split("\n");
  const remedy = "correct it: docs/configuration.md lists what the server reads";
  return problems.map((line) => ({ name: "Settings", state: "bad", text: line.replace(/^ *- /, ""), remedy }));
}
