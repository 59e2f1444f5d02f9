import { readFileSync } from "node:fs";
import type { ConnectionOptions } from "mysql2";

const TLS_MODES = ["DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"] as const;
export type TlsMode = (typeof TLS_MODES)[number];

const OPTIONS = ["ssl-mode", "ssl-ca", "ssl-cert", "ssl-key", "socket", "connections"] as const;
const CONNECTIONS_DEFAULT = 10;
const CONNECTIONS_MAX = 200;
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** Where a MySQL database is and how it is spoken to. */
export interface MysqlAddress {
  /** For people: without user and password. */
  readonly name: string;
  readonly connection: ConnectionOptions;
  readonly tls: TlsMode;
  /** Connections for writing, and as many again for reading. */
  readonly connections: number;
}

/**
 * Reads `mysql://user:password@host:port/database?option=value`. The options are named as MySQL's own programs name them:
 * `ssl-mode` (PREFERRED; DISABLED on a loopback address or a socket), `ssl-ca`, `ssl-cert`, `ssl-key` (files), `socket`
 * (path of a Unix socket, instead of host and port), and `connections` (10). Throws what is wrong, without the password.
 */
export function parseMysqlAddress(text: string): MysqlAddress {
  const url = new URL(text);
  const options = new Map(url.searchParams);
  for (const name of options.keys()) {
    if (!(OPTIONS as readonly string[]).includes(name)) {
      throw new Error(`DATABASE_URL has the unknown option ${name}. Known ones: ${OPTIONS.join(", ")}.`);
    }
  }
  const socket = options.get("socket");
  const database = decodeURIComponent(url.pathname.slice(1));
  const port = url.port === "" ? 3306 : Number(url.port);
  const tls = tlsMode(options.get("ssl-mode"), socket !== undefined || LOOPBACK.test(url.hostname));
  const place = socket === undefined ? { host: url.hostname.replace(/^\[|\]$/g, ""), port } : { socketPath: socket };
  return {
    name: `${socket ?? `${url.hostname}:${port}`}/${database}`,
    connection: {
      ...place,
      user: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      database,
      ...tlsOptions(tls, options),
    },
    tls,
    connections: connectionCount(options.get("connections")),
  };
}

function tlsMode(text: string | undefined, local: boolean): TlsMode {
  if (text === undefined) return local ? "DISABLED" : "PREFERRED";
  const mode = TLS_MODES.find((known) => known === text.toUpperCase());
  if (mode === undefined) throw new Error(`DATABASE_URL: ssl-mode is none of ${TLS_MODES.join(", ")}.`);
  return mode;
}

function tlsOptions(mode: TlsMode, options: ReadonlyMap<string, string>): ConnectionOptions {
  if (mode === "DISABLED") return {};
  const file = (name: string): string | undefined => {
    const path = options.get(name);
    if (path === undefined) return undefined;
    try {
      return readFileSync(path, "utf8");
    } catch (cause) {
      throw new Error(`DATABASE_URL: the file of ${name} can't be read: ${path}`, { cause });
    }
  };
  const given = Object.entries({ ca: file("ssl-ca"), cert: file("ssl-cert"), key: file("ssl-key") });
  return {
    ssl: {
      ...Object.fromEntries(given.filter(([, value]) => value !== undefined)),
      rejectUnauthorized: mode === "VERIFY_CA" || mode === "VERIFY_IDENTITY",
      verifyIdentity: mode === "VERIFY_IDENTITY",
    },
  };
}

function connectionCount(text: string | undefined): number {
  if (text === undefined) return CONNECTIONS_DEFAULT;
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= CONNECTIONS_MAX) return count;
  throw new Error(`DATABASE_URL: connections is no whole number from 1 to ${CONNECTIONS_MAX}.`);
}
