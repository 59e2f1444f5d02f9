import { z } from "zod";
import { BuildFailure } from "./build-failure.ts";

/** What a package.json says that changes how it is built. */
export interface NodePackage {
  /** Anything to install: dependencies, workspaces, scripts that run at installation. */
  readonly hasInstallation: boolean;
  readonly hasDevelopment: boolean;
  readonly hasBuildScript: boolean;
  /** Module it begins with, relative to its folder. */
  readonly main: string | undefined;
  /** `pnpm@9.1.0`, as corepack reads it. */
  readonly packageManager: string | undefined;
}

const INSTALLATION_SCRIPTS = ["preinstall", "install", "postinstall", "prepare"];
/** Anything that is not an object counts as none, as npm takes it. */
const names = z.record(z.string(), z.unknown()).catch({});
const Fields = z.object({
  dependencies: names,
  devDependencies: names,
  optionalDependencies: names,
  peerDependencies: names,
  scripts: names,
  workspaces: z.unknown().optional(),
  main: z.string().min(1).max(250).optional().catch(undefined),
  packageManager: z.string().max(200).optional().catch(undefined),
});

/** Throws BuildFailure `manifest_invalid`. */
export function readNodePackage(text: string): NodePackage {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    const reason = error instanceof Error ? error.message.slice(0, 200) : "";
    throw new BuildFailure("manifest_invalid", `package.json is not valid JSON: ${reason}.`);
  }
  const parsed = Fields.safeParse(value);
  if (!parsed.success) throw new BuildFailure("manifest_invalid", "package.json must be a JSON object.");
  const { data } = parsed;
  const all = [data.dependencies, data.devDependencies, data.optionalDependencies, data.peerDependencies];
  const inside = data.main !== undefined && !data.main.startsWith("/") && !data.main.split("/").includes("..");
  return {
    hasInstallation:
      all.some((group) => Object.keys(group).length > 0) ||
      data.workspaces !== undefined ||
      INSTALLATION_SCRIPTS.some((script) => Object.hasOwn(data.scripts, script)),
    hasDevelopment: Object.keys(data.devDependencies).length > 0,
    hasBuildScript: Object.hasOwn(data.scripts, "build"),
    main: inside ? data.main?.replace(/^\.\//, "") : undefined,
    packageManager: data.packageManager,
  };
}
