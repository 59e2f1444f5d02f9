import { BuildFailure } from "./build-failure.ts";
import { runScript } from "./script.ts";
import type { StepRunner } from "./step-runner.ts";

/**
 * What an agent asks of the system must be there already: sessions share one read-only system, and a builder, which is no
 * root, can't add to it. Throws BuildFailure `manifest_invalid` that names what is missing.
 */
export async function requireSystemPackages(steps: StepRunner, packages: readonly string[]): Promise<void> {
  if (packages.length === 0) return;
  const script = `for name; do
    state=$(dpkg-query -W -f '\${db:Status-Status}' -- "$name" 2>/dev/null)
    [ "$state" = installed ] || printf '%s\\n' "$name"
  done`;
  const call = { label: "look for system packages", script, arguments: packages, quiet: true };
  const { stdout } = await runScript(steps, call);
  const missing = new TextDecoder().decode(stdout).split("\n").slice(0, -1);
  if (missing.length === 0) return;
  const message = `"system_packages" of raworc.json are not there: ${missing.join(", ")}. A builder can't install them, since all sessions share one system. Install them on the server's machine (sandbox driver) or in the session image (docker driver, RAWORC_SESSION_IMAGE), use a package of the language that brings the same, or leave them out.`;
  throw new BuildFailure("manifest_invalid", message);
}
