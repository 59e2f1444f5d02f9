import { Kysely, MysqlDialect, sql } from "kysely";
import { createConnection } from "mysql2";
import { migrate } from "./migrate.ts";
import { type MysqlAddress, parseMysqlAddress } from "./mysql-address.ts";
import { failureOf } from "./mysql-failures.ts";
import { MysqlPool } from "./mysql-pool.ts";
import { MysqlWriter } from "./mysql-writer.ts";
import type { Database } from "./rows.ts";
import type { StoreSide } from "./store.ts";

const READ_LIMIT_MS = 20_000;
/** Deleting a space takes its whole history along. */
const WRITE_LIMIT_MS = 120_000;
/** A reply of 4 MiB in the JSON of its event, each character escaped there and again in the statement. */
const PACKET_MIN_BYTES = 32 * 1024 * 1024;

/** Looks into a database of MySQL 8 or MariaDB as it is. Throws what to do when it can't be used. */
export async function openMysqlReader(url: string): Promise<Kysely<Database>> {
  const address = await settleTls(parseMysqlAddress(url));
  const reader = openPool(address, 1, READ_LIMIT_MS);
  try {
    await requireServer(reader, address);
    return reader;
  } catch (error) {
    await reader.destroy();
    throw error;
  }
}

/** Opens and migrates a database of MySQL 8 or MariaDB. Throws what to do when it can't be used. */
export async function openMysql(url: string): Promise<StoreSide> {
  const address = await settleTls(parseMysqlAddress(url));
  const open = (connections: number, statementLimitMs: number) => openPool(address, connections, statementLimitMs);
  // Changing a large table takes as long as it takes.
  const migrating = open(2, 0);
  try {
    await requireServer(migrating, address);
    await migrate(migrating);
  } finally {
    await migrating.destroy();
  }
  const read = open(address.connections, READ_LIMIT_MS);
  const database = open(address.connections, WRITE_LIMIT_MS);
  const writer = new MysqlWriter(database);
  return {
    read,
    write: (work) => writer.write(work),
    close: async () => {
      await writer.settled();
      await read.destroy();
      await database.destroy();
    },
  };
}

function openPool({ connection }: MysqlAddress, connections: number, statementLimitMs: number): Kysely<Database> {
  const pool = new MysqlPool({ connection, connections, statementLimitMs });
  return new Kysely<Database>({ dialect: new MysqlDialect({ pool }) });
}

/** With PREFERRED, as MySQL's own programs do: encrypted where the server can. */
async function settleTls(address: MysqlAddress): Promise<MysqlAddress> {
  const { ssl, ...plain } = address.connection;
  try {
    await tryToConnect(address);
    return address;
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code === "HANDSHAKE_NO_SSL_SUPPORT" && address.tls === "PREFERRED") {
      return settleTls({ ...address, tls: "DISABLED", connection: plain });
    }
    throw new Error(explain(error, address), { cause: error });
  }
}

function tryToConnect(address: MysqlAddress): Promise<void> {
  const connection = createConnection({ ...address.connection, connectTimeout: 10_000 });
  return new Promise<void>((resolve, reject) => {
    connection.on("error", reject);
    connection.connect((error) => (error === null || error === undefined ? resolve() : reject(error)));
  }).finally(() => connection.destroy());
}

function explain(error: unknown, address: MysqlAddress): string {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const { name, connection } = address;
  if (code === "ER_ACCESS_DENIED_ERROR" || code === "ER_DBACCESS_DENIED_ERROR") {
    const encrypted = address.tls === "DISABLED" ? " A server that asks for TLS needs ssl-mode=REQUIRED." : "";
    return `The database ${name} refuses the user ${connection.user}. Check user and password in DATABASE_URL, and that the user has all rights on the database.${encrypted}`;
  }
  // MySQL's own; MariaDB refuses the user.
  if (code === "ER_SECURE_TRANSPORT_REQUIRED") {
    return `The database ${name} asks for TLS, which needs ssl-mode=REQUIRED in DATABASE_URL, or a stricter one.`;
  }
  if (code === "ER_BAD_DB_ERROR") {
    return `There is no database ${connection.database} on ${name}. Make it: CREATE DATABASE \`${connection.database}\` CHARACTER SET utf8mb4.`;
  }
  if (code === "HANDSHAKE_NO_SSL_SUPPORT") {
    return `The database ${name} offers no TLS. Set it up there, or set ssl-mode=DISABLED in DATABASE_URL where the network is yours.`;
  }
  if (code === "HANDSHAKE_SSL_ERROR") {
    return `The TLS certificate of the database ${name} was not accepted (${String(message)}). Give its authority with ssl-ca in DATABASE_URL, or a weaker ssl-mode.`;
  }
  if (failureOf(error) === "unreachable") {
    return `The database ${name} can't be reached (${String(code ?? message)}). Check that it runs and that DATABASE_URL is right.`;
  }
  return `The database ${name} can't be used: ${String(message)}`;
}

/** Refuses servers on which something would fail later. */
async function requireServer(database: Kysely<Database>, address: MysqlAddress): Promise<void> {
  const { rows } = await sql<{ version: string; packet: number | string }>`
    select version() as version, @@max_allowed_packet as packet
  `.execute(database);
  const { version = "", packet = 0 } = rows[0] ?? {};
  const [major = 0, minor = 0] = (/(\d+)\.(\d+)\.\d+(?=-MariaDB)|^(\d+)\.(\d+)/.exec(version) ?? [])
    .slice(1)
    .filter((part) => part !== undefined)
    .map(Number);
  const maria = version.includes("MariaDB");
  const recent = maria ? major > 10 || (major === 10 && minor >= 6) : major >= 8;
  if (!recent) {
    throw new Error(
      `The database ${address.name} is version ${version}. Raworc needs MySQL 8 or MariaDB 10.6 or newer.`,
    );
  }
  if (Number(packet) < PACKET_MIN_BYTES) {
    throw new Error(
      `The database ${address.name} takes statements up to max_allowed_packet = ${packet} bytes, and a long reply needs ` +
        `${PACKET_MIN_BYTES}. Set max_allowed_packet = 64M in the server's configuration, or: SET GLOBAL max_allowed_packet = 67108864.`,
    );
  }
}
