import { homedir } from "node:os";
import { join, resolve } from "node:path";

/** What the command line takes from its environment. Nothing else reads it. */
export interface Config {
  /** RAWORC_SERVER: the server to talk to, whatever is saved. */
  readonly server: string | undefined;
  /** RAWORC_TOKEN: goes before every saved login. */
  readonly token: string | undefined;
  /** RAWORC_HOME: where logins, logs and the server's data are. */
  readonly home: string;
  /** Password of `admin` that the server is given for its first start. */
  readonly adminPassword: string | undefined;
  /** NO_COLOR, or a terminal that has none. */
  readonly plain: boolean;
  /** A terminal that can't move its cursor. */
  readonly dumb: boolean;
  /** Socket of the Docker engine that the server would use. */
  readonly engineSocket: string | null;
  /** Everything, for the server's own process. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export function readConfig(environment: Readonly<Record<string, string | undefined>> = process.env): Config {
  const read = (name: string): string | undefined => (environment[name] === "" ? undefined : environment[name]);
  const dumb = read("TERM") === "dumb";
  const engine = read("DOCKER_HOST");
  return {
    server: read("RAWORC_SERVER"),
    token: read("RAWORC_TOKEN"),
    home: resolve(read("RAWORC_HOME") ?? join(read("HOME") ?? homedir(), ".raworc")),
    adminPassword: read("RAWORC_ADMIN_PASSWORD"),
    plain: dumb || read("NO_COLOR") !== undefined,
    dumb,
    engineSocket: engine === undefined ? "/var/run/docker.sock" : (/^unix:\/\/(\/.+)$/.exec(engine)?.[1] ?? null),
    environment,
  };
}
