import { accessSync, constants, statSync } from "node:fs";
import { BlockList, isIP } from "node:net";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { DEFAULT_PORT } from "@raworc/contract";
import { z } from "zod";
import { type Fault, parseFault } from "./domain/faults.ts";
import { type Environment, type HandedOn, readHandedOn } from "./handed-on.ts";
import { parseKey } from "./security/keys.ts";

export const RUNTIME_CHOICES = ["auto", "docker", "sandbox", "kubernetes"] as const;
export type RuntimeChoice = (typeof RUNTIME_CHOICES)[number];
const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** What one process of a control plane does: answer the API, and drive sessions, messages and builds. */
export const COMPONENTS = ["server", "operator"] as const;
export type Component = (typeof COMPONENTS)[number];

export type DatabaseAddress =
  | { readonly kind: "sqlite"; readonly path: string }
  | { readonly kind: "mysql"; readonly url: string };

/** Everything that the server's environment says, checked. */
export interface Config {
  /** What this process does; whatever is left out is done by other ones on the same database and data directory. */
  readonly components: readonly Component[];
  readonly host: string;
  readonly port: number;
  readonly home: string;
  readonly dataDirectory: string;
  readonly database: DatabaseAddress;
  readonly encryptionKey: Uint8Array | undefined;
  readonly encryptionKeyFile: string | undefined;
  /** The key that a rotation goes to, where the present one comes from outside. */
  readonly newEncryptionKey: Uint8Array | undefined;
  readonly jwtSecret: Uint8Array | undefined;
  /** Passwords that the built-in accounts get at first start; undefined is the default one. */
  readonly adminPassword: string | undefined;
  readonly operatorPassword: string | undefined;
  readonly runtime: RuntimeChoice;
  readonly sessionImage: string;
  /** Socket of the Docker engine; null where DOCKER_HOST names an engine that is not reached by one. */
  readonly engineSocket: string | null;
  readonly logLevel: LogLevel;
  /** Origins whose pages may call, or `*`. */
  readonly corsOrigins: readonly string[];
  /** Names beside localhost and addresses under which a server on a loopback address may be called. */
  readonly allowedHosts: readonly string[];
  /** Addresses and networks of proxies whose forwarded addresses count. */
  readonly trustedProxies: readonly string[];
  readonly allowLocalSources: boolean;
  /** Requests of one principal in a minute, to this server; 0 is as many as come. */
  readonly rateLimit: number;
  /** Where traces go, and under which name; null sends none. */
  readonly tracing: { readonly endpoint: string; readonly serviceName: string } | null;
  /** Checks each answer against the contract; for development. */
  readonly checkAnswers: boolean;
  /** Where the process ends itself once; for tests. */
  readonly fault: Fault | undefined;
  readonly handedOn: HandedOn;
  /** Where this machine's user keeps toolchains. */
  readonly userHome: string;
  readonly path: string;
}

/** The configuration is wrong. The message lists everything that is, and what to set. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(["The configuration is wrong:", ...problems.map((problem) => `  - ${problem}`)].join("\n"));
    this.problems = problems;
  }
}

const ENGINE_SOCKET = "/var/run/docker.sock";
const SESSION_IMAGE = "raworc_session:dev";
const SECRET_BYTES_MIN = 32;
const PASSWORD_MAX = 1024;
/** What a few busy clients need; a loop that has gone wild does not take the server from all others. */
const RATE_LIMIT = 120_000;

/** Values that are never shown, not even when they are wrong. */
const SECRET_NAMES: ReadonlySet<string> = new Set([
  "RAWORC_ENCRYPTION_KEY",
  "RAWORC_NEW_ENCRYPTION_KEY",
  "RAWORC_JWT_SECRET",
  "RAWORC_ADMIN_PASSWORD",
  "RAWORC_OPERATOR_PASSWORD",
  "DATABASE_URL",
]);

const isHostName = (text: string): boolean =>
  isIP(text) !== 0 ||
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/i.test(text);

function isNetwork(text: string): boolean {
  const [address = "", bits, ...more] = text.split("/");
  const version = isIP(address);
  if (version === 0 || more.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128));
}

function isOrigin(text: string): boolean {
  const url = URL.parse(text);
  return text === "*" || (url !== null && /^https?:$/.test(url.protocol) && url.origin === text);
}

function isHttpUrl(text: string): boolean {
  return /^https?:$/.test(URL.parse(text)?.protocol ?? "");
}

const words = (text: string): string[] => text.split(/[\s,]+/).filter((word) => word !== "");
const list = (isGood: (word: string) => boolean, problem: string) =>
  z
    .string()
    .transform(words)
    .refine((all) => all.every(isGood), problem);
const toggle = z
  .enum(["true", "false"], "is neither true nor false. Set true or false")
  .transform((text) => text === "true");
const choice = <const T extends readonly [string, ...string[]]>(values: T) =>
  z.enum(values, `is not one of ${values.join(", ")}. Set one of them`);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const password = z.string().max(PASSWORD_MAX, `is longer than ${PASSWORD_MAX} characters. Set a shorter one`);

function toDatabase(text: string): DatabaseAddress | undefined {
  const path = /^sqlite:(?:\/\/)?(\/.+)$/.exec(text)?.[1];
  if (path !== undefined) return { kind: "sqlite", path };
  const url = URL.parse(text);
  const isMysql =
    url !== null && /^(mysql|mariadb):$/.test(url.protocol) && url.hostname !== "" && url.pathname.length > 1;
  return isMysql ? { kind: "mysql", url: text } : undefined;
}

const Variables = z.object({
  RAWORC_COMPONENTS: list(
    (word) => (COMPONENTS as readonly string[]).includes(word),
    `names something else than ${COMPONENTS.join(" and ")}. Set one or both of them, with commas between`,
  )
    .transform((names) => COMPONENTS.filter((name) => names.includes(name)))
    .refine((names) => names.length > 0, "names nothing. Set server, operator or both, with a comma between")
    .default([...COMPONENTS]),
  RAWORC_HOME: z.string().optional(),
  RAWORC_DATA_DIR: z.string().optional(),
  RAWORC_HOST: z
    .string()
    .refine(isHostName, "is no address or host name. Set one to listen on, for example 127.0.0.1")
    .default("127.0.0.1"),
  RAWORC_PORT: z
    .string()
    .regex(/^\d{1,5}$/, "is no port. Set a whole number up to 65535, for example 9000")
    .transform(Number)
    .refine((port) => port <= 65_535, "is no port. Set a whole number up to 65535, for example 9000")
    .default(DEFAULT_PORT),
  RAWORC_ENCRYPTION_KEY: z
    .string()
    .transform(parseKey)
    .refine((key) => key !== undefined, "is no key. Set 32 bytes in hex or base64: openssl rand -base64 32")
    .optional(),
  RAWORC_ENCRYPTION_KEY_FILE: z.string().optional(),
  RAWORC_NEW_ENCRYPTION_KEY: z
    .string()
    .transform(parseKey)
    .refine((key) => key !== undefined, "is no key. Set 32 bytes in hex or base64: openssl rand -base64 32")
    .optional(),
  RAWORC_JWT_SECRET: z
    .string()
    .transform(bytes)
    .refine(
      (secret) => secret.length >= SECRET_BYTES_MIN,
      `is shorter than ${SECRET_BYTES_MIN} bytes. Set a longer one: openssl rand -base64 48`,
    )
    .optional(),
  RAWORC_ADMIN_PASSWORD: password.optional(),
  RAWORC_OPERATOR_PASSWORD: password.optional(),
  DATABASE_URL: z
    .string()
    .transform(toDatabase)
    .refine(
      (address) => address !== undefined,
      "is no database address. Set mysql://user:password@host:3306/raworc, or sqlite:/path/to/file, or leave it out",
    )
    .optional(),
  RAWORC_RUNTIME: choice(RUNTIME_CHOICES).default("auto"),
  RAWORC_SESSION_IMAGE: z
    .string()
    .regex(/^[a-z0-9][a-zA-Z0-9._/:@-]{0,254}$/, "is no image name. Set one such as raworc_session:dev")
    .default(SESSION_IMAGE),
  RAWORC_LOG_LEVEL: choice(LOG_LEVELS).default("info"),
  RAWORC_CORS_ORIGINS: list(
    isOrigin,
    "is no list of origins. Set origins without a path, with commas between: https://console.example",
  ).default([]),
  RAWORC_ALLOWED_HOSTS: list(isHostName, "is no list of host names. Set names with commas between").default([]),
  RAWORC_TRUSTED_PROXIES: list(
    isNetwork,
    "is no list of addresses. Set addresses or networks with commas between: 10.0.0.5, 10.1.0.0/16",
  ).default([]),
  RAWORC_ALLOW_LOCAL_SOURCES: toggle.default(false),
  RAWORC_RATE_LIMIT: z
    .string()
    .regex(/^\d{1,9}$/, "is no number of requests. Set a whole number for each minute, or 0 for no limit")
    .transform(Number)
    .default(RATE_LIMIT),
  RAWORC_CHECK_ANSWERS: toggle.default(false),
  RAWORC_ENABLE_FAULTS: toggle.default(false),
  RAWORC_FAULT: z
    .string()
    .transform(parseFault)
    .refine((fault) => fault !== undefined, "is no fault. Set a step and a moment such as start:after, or leave it out")
    .optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .string()
    .refine(
      isHttpUrl,
      "is no http or https URL. Set the base address of an OTLP receiver, such as http://127.0.0.1:4318",
    )
    .optional(),
  OTEL_SERVICE_NAME: z.string().max(128, "is longer than 128 characters. Set a shorter name").default("raworc"),
  DOCKER_HOST: z.string().optional(),
  HOME: z.string().optional(),
  PATH: z.string().optional(),
  SSL_CERT_FILE: z
    .string()
    .refine(
      isReadableFile,
      "names no file that can be read. Set the path of a file of CA certificates, or leave it out",
    )
    .optional(),
});

function isReadableFile(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Reads the environment. A variable that is empty counts as left out. Throws ConfigError with everything that is wrong. */
export function loadConfig(environment: Environment): Config {
  const env = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== "" && value !== undefined),
  );
  const problems: string[] = [];
  const complain = (name: string, problem: string, remedy: string): void => {
    const shown = SECRET_NAMES.has(name) ? "" : ` (${JSON.stringify(env[name]?.slice(0, 200))})`;
    problems.push(`${name}${shown} ${problem}. ${remedy}.`);
  };
  const handedOn = readHandedOn(env, complain);
  const result = Variables.safeParse(env);
  for (const issue of result.error?.issues ?? []) {
    const [problem = "", remedy = ""] = issue.message.split(". ", 2);
    complain(String(issue.path[0]), problem, remedy);
  }
  if (env["RAWORC_ENCRYPTION_KEY"] !== undefined && env["RAWORC_ENCRYPTION_KEY_FILE"] !== undefined) {
    problems.push("RAWORC_ENCRYPTION_KEY and RAWORC_ENCRYPTION_KEY_FILE are both set. Set one of them.");
  }
  if (env["RAWORC_FAULT"] !== undefined && env["RAWORC_ENABLE_FAULTS"] !== "true") {
    problems.push(
      "RAWORC_FAULT ends the server in mid work, for tests. Leave it out, or set RAWORC_ENABLE_FAULTS=true.",
    );
  }
  if (!result.success || problems.length > 0) throw new ConfigError(problems);
  return freeze(toConfig(result.data, handedOn));
}

function toConfig(variables: z.output<typeof Variables>, handedOn: HandedOn): Config {
  const userHome = variables.HOME ?? homedir();
  const home = resolve(variables.RAWORC_HOME ?? join(userHome, ".raworc"));
  const dataDirectory = resolve(variables.RAWORC_DATA_DIR ?? join(home, "data"));
  const engine = variables.DOCKER_HOST;
  return {
    components: variables.RAWORC_COMPONENTS,
    host: variables.RAWORC_HOST,
    port: variables.RAWORC_PORT,
    home,
    dataDirectory,
    database: variables.DATABASE_URL ?? { kind: "sqlite", path: join(dataDirectory, "raworc.db") },
    encryptionKey: variables.RAWORC_ENCRYPTION_KEY,
    encryptionKeyFile: variables.RAWORC_ENCRYPTION_KEY_FILE,
    newEncryptionKey: variables.RAWORC_NEW_ENCRYPTION_KEY,
    jwtSecret: variables.RAWORC_JWT_SECRET,
    adminPassword: variables.RAWORC_ADMIN_PASSWORD,
    operatorPassword: variables.RAWORC_OPERATOR_PASSWORD,
    runtime: variables.RAWORC_RUNTIME,
    sessionImage: variables.RAWORC_SESSION_IMAGE,
    engineSocket: engine === undefined ? ENGINE_SOCKET : (/^unix:\/\/(\/.+)$/.exec(engine)?.[1] ?? null),
    logLevel: variables.RAWORC_LOG_LEVEL,
    corsOrigins: variables.RAWORC_CORS_ORIGINS,
    allowedHosts: variables.RAWORC_ALLOWED_HOSTS.map((name) => name.toLowerCase()),
    trustedProxies: variables.RAWORC_TRUSTED_PROXIES,
    allowLocalSources: variables.RAWORC_ALLOW_LOCAL_SOURCES,
    rateLimit: variables.RAWORC_RATE_LIMIT,
    tracing:
      variables.OTEL_EXPORTER_OTLP_ENDPOINT === undefined
        ? null
        : { endpoint: variables.OTEL_EXPORTER_OTLP_ENDPOINT, serviceName: variables.OTEL_SERVICE_NAME },
    checkAnswers: variables.RAWORC_CHECK_ANSWERS,
    fault: variables.RAWORC_FAULT,
    handedOn,
    userHome,
    path: variables.PATH ?? "/usr/local/bin:/usr/bin:/bin",
  };
}

function freeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  for (const part of Object.values(value)) freeze(part);
  return Object.freeze(value);
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

/** Whether only this machine can reach an address. */
export function isLoopback(host: string): boolean {
  if (host.toLowerCase() === "localhost") return true;
  const version = isIP(host);
  return version !== 0 && LOOPBACK.check(host, version === 4 ? "ipv4" : "ipv6");
}

/**
 * Refuses to serve other machines while built-in accounts have the passwords everybody knows. The names of those accounts
 * come from the store. Throws ConfigError.
 */
export function refuseDefaultPasswords(host: string, accounts: readonly string[]): void {
  if (accounts.length === 0 || isLoopback(host)) return;
  throw new ConfigError(
    accounts.map((account) => {
      const variable = `RAWORC_${account.toUpperCase()}_PASSWORD`;
      return (
        `RAWORC_HOST (${JSON.stringify(host)}) can be reached by other machines, and the account ${account} has its default ` +
        `password. Start on 127.0.0.1 and change the password, or set ${variable} before the first start.`
      );
    }),
  );
}

/** The environment of this process. */
export function processEnvironment(): Environment {
  return process.env;
}
