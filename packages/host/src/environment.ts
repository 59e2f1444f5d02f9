import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { COMPUTER, type HostAgent } from "@raworc/contract";
import type { Config } from "./config.ts";

type Environment = Record<string, string>;

export interface EnvironmentSource {
  readonly config: Config;
  /** Whether the only way out is the egress proxy. */
  readonly proxied: boolean;
  readonly claimed:
    | { readonly sessionId: string; readonly space: string; readonly environment: Environment }
    | undefined;
}

/** Environment of commands. Nothing of the host's own but where programs are. */
export function commandEnvironment(source: EnvironmentSource, given: Readonly<Environment> = {}): Environment {
  return {
    ...base(source.config, []),
    ...source.claimed?.environment,
    ...given,
    ...fixed(source),
  };
}

/** Environment of an agent: the manifest's is the default, the claim's (secrets) wins over it. */
export function agentEnvironment(source: EnvironmentSource, agent: HostAgent): Environment {
  return {
    ...base(source.config, programFolders(agent)),
    ...agent.manifest.env,
    ...source.claimed?.environment,
    ...fixed(source),
  };
}

function base({ environment, path }: Config, first: readonly string[]): Environment {
  const own = dirname(process.execPath);
  const folders = path.split(":");
  const all = folders.includes(own) ? [...first, ...folders] : [...first, own, ...folders];
  return {
    PATH: all.join(":"),
    HOME: COMPUTER.session,
    TMPDIR: COMPUTER.temporary,
    LANG: "C.UTF-8",
    XDG_CACHE_HOME: COMPUTER.cache,
    PIP_CACHE_DIR: `${COMPUTER.cache}/pip`,
    npm_config_cache: `${COMPUTER.cache}/npm`,
    ...environment,
  };
}

function programFolders({ path, manifest }: HostAgent): string[] {
  if (manifest.runtime === "python" && existsSync(`${path}/.venv/bin`)) return [`${path}/.venv/bin`];
  if (manifest.runtime === "node" && existsSync(`${path}/node_modules/.bin`)) return [`${path}/node_modules/.bin`];
  return [];
}

function fixed({ claimed, proxied }: EnvironmentSource): Environment {
  return {
    RAWORC_SESSION_DIR: COMPUTER.session,
    ...(claimed === undefined ? {} : { RAWORC_SESSION_ID: claimed.sessionId, RAWORC_SPACE: claimed.space }),
    ...(proxied ? proxyEnvironment() : {}),
  };
}

function proxyEnvironment(): Environment {
  const direct = "localhost,127.0.0.1,::1";
  const environment: Environment = { NODE_USE_ENV_PROXY: "1", NO_PROXY: direct, no_proxy: direct };
  for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]) {
    environment[name] = COMPUTER.egressProxy;
    environment[name.toLowerCase()] = COMPUTER.egressProxy;
  }
  return environment;
}
