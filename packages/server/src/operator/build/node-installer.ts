import { COMPUTER } from "@raworc/contract";
import type { NodePackage } from "./node-package.ts";

/** How an agent's packages are installed. */
export interface Installer {
  readonly label: string;
  /** For `sh`, in the agent's folder. */
  readonly script: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Leaves out what only development needs, where the tool does that well. */
  readonly prune?: string;
}

/** For npm, and for what an agent's build_command runs of it. */
export const NPM_ENVIRONMENT: Readonly<Record<string, string>> = {
  npm_config_cache: `${COMPUTER.cache}/npm`,
  npm_config_audit: "false",
  npm_config_fund: "false",
  npm_config_update_notifier: "false",
};
const INSTALLATION = { ...NPM_ENVIRONMENT, CI: "true" };
const PNPM_DEFAULT = "10";
const YARN_CLASSIC = "1.22.22";
const YARN_MODERN = "4";
/** Of `name@version`, what may stand on a command line. */
const VERSION = /^(npm|pnpm|yarn)@(\d+(?:\.\d+){0,2}(?:-[0-9A-Za-z.]+)?)(?:\+.*)?$/;

/** By the lock file, else by the package's own word, else npm. Undefined where there is nothing to install. */
export function chooseInstaller(files: ReadonlySet<string>, found: NodePackage): Installer | undefined {
  const [, tool, version] = VERSION.exec(found.packageManager ?? "") ?? [];
  const named = (name: string) => (tool === name ? version : undefined);
  const npmLock = files.has("package-lock.json") || files.has("npm-shrinkwrap.json");
  if (!found.hasInstallation) return undefined;
  if (npmLock) return npm("ci");
  if (files.has("pnpm-lock.yaml")) return pnpm(named("pnpm"), "--frozen-lockfile");
  if (files.has("yarn.lock"))
    return yarn(named("yarn") ?? (files.has(".yarnrc.yml") ? YARN_MODERN : YARN_CLASSIC), true);
  if (tool === "pnpm") return pnpm(version, "--no-frozen-lockfile");
  if (tool === "yarn") return yarn(version ?? YARN_CLASSIC, false);
  return npm("install");
}

function npm(command: "ci" | "install"): Installer {
  return {
    label: `npm ${command}`,
    script: `exec npm ${command} --include=dev`,
    environment: INSTALLATION,
    prune: `exec npm prune --omit=dev --ignore-scripts`,
  };
}

function pnpm(version: string | undefined, lock: string): Installer {
  const program = `pnpm@${version ?? PNPM_DEFAULT}`;
  // The store lies beside the packages' folder, so files are linked and not copied.
  const flags = `--prod=false --store-dir=${COMPUTER.artifacts}/.pnpm-store`;
  return {
    label: `${program} install ${lock}`,
    script: `exec npm exec --yes --package=${program} -- pnpm install ${lock} ${flags}`,
    environment: INSTALLATION,
  };
}

/** Yarn 1 and those after it are different programs; agents need a `node_modules` folder with either. */
function yarn(version: string, locked: boolean): Installer {
  const classic = version.startsWith("1.") || version === "1";
  const program = classic ? `yarn@${version}` : `@yarnpkg/cli-dist@${version}`;
  const lock = classic ? "--frozen-lockfile" : "--immutable";
  const flags = classic ? "--production=false --non-interactive" : "";
  return {
    label: `yarn ${version} install`,
    script: `exec npm exec --yes --package=${program} -- yarn install ${locked ? lock : ""} ${flags}`,
    environment: {
      ...INSTALLATION,
      YARN_NODE_LINKER: "node-modules",
      YARN_ENABLE_GLOBAL_CACHE: "false",
      YARN_CACHE_FOLDER: `${COMPUTER.cache}/yarn`,
      YARN_ENABLE_TELEMETRY: "0",
      YARN_IGNORE_PATH: "1",
    },
  };
}
