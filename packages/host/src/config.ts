import { COMPUTER } from "@raworc/contract";

/** What the driver fixed when it made the computer. Nothing here differs from session to session. */
export interface Config {
  /** Agents and commands run as this uid and gid. */
  readonly agentUid: number;
  /** Words before every command that is started, for computers with one uid only. Then the uid is not changed. */
  readonly spawnPrefix: readonly string[];
  /** Where programs are found in this computer. */
  readonly path: string;
  /** What programs need to know of this computer, where toolchains are for example. */
  readonly environment: Readonly<Record<string, string>>;
}

const PATH_DEFAULT = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Throws with the variable's name where a value is wrong: the driver made a mistake. */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const uid = environment["RAWORC_HOST_AGENT_UID"] ?? String(COMPUTER.agentUid);
  if (!/^\d{1,10}$/.test(uid)) throw new Error(`RAWORC_HOST_AGENT_UID is no uid: ${uid}`);
  return {
    agentUid: Number(uid),
    spawnPrefix: readWords(environment["RAWORC_HOST_SPAWN_PREFIX"]),
    path: environment["PATH"] || PATH_DEFAULT,
    environment: readVariables(environment["RAWORC_HOST_ENVIRONMENT"]),
  };
}

export function readOwnConfig(): Config {
  return readConfig(process.env);
}

/** What a process of the agent was given, for the shell that it starts. */
export function readOwnEnvironment(): Readonly<Record<string, string | undefined>> {
  return process.env;
}

function readWords(text: string | undefined): readonly string[] {
  if (text === undefined || text === "") return [];
  const words: unknown = JSON.parse(text);
  if (Array.isArray(words) && words.every((word) => typeof word === "string")) return words;
  throw new Error("RAWORC_HOST_SPAWN_PREFIX is no JSON list of texts");
}

function readVariables(text: string | undefined): Readonly<Record<string, string>> {
  if (text === undefined || text === "") return {};
  const variables: unknown = JSON.parse(text);
  const isMap = typeof variables === "object" && variables !== null && !Array.isArray(variables);
  if (isMap && Object.values(variables).every((value) => typeof value === "string")) {
    return variables as Record<string, string>;
  }
  throw new Error("RAWORC_HOST_ENVIRONMENT is no JSON object of texts");
}
