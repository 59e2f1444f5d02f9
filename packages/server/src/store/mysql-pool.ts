import type { MysqlPool as KyselyPool, MysqlPoolConnection, MysqlQueryResult } from "kysely";
import { type Connection, type ConnectionOptions, createConnection } from "mysql2";
import { commitUnknown, databaseGone, failureOf } from "./mysql-failures.ts";

export interface MysqlPoolOptions {
  readonly connection: ConnectionOptions;
  readonly connections: number;
  /** A statement that takes longer counts as lost together with its connection; 0 is no limit. */
  readonly statementLimitMs: number;
}

const CONNECT_LIMIT_MS = 5000;
/** The server closes what says nothing for longer, and with it frees the locks of a process that hangs. */
const SILENCE_MAX_S = 15;
/**
 * In the middle of a transaction, where others wait for its locks; of a process that hangs, several such may wait for each
 * other. Less than others wait for a lock, and more than a process needs between two statements when its machine is
 * overloaded. Only MariaDB can tell the two silences apart.
 */
const SILENCE_IN_TRANSACTION_MAX_S = 6;
/** Safely before the server may close it. */
const IDLE_MAX_MS = 7000;

/**
 * What the statements of this program rely on, whatever the server's own settings are. READ COMMITTED: a statement sees
 * what is committed, and no gaps between rows are locked, so transactions on different sessions never meet. The
 * SQL mode is strict and has none of the modes under which quoting by backslash or double quotes means something else.
 */
const SETTINGS = [
  "set names utf8mb4 collate utf8mb4_bin",
  "set session transaction isolation level read committed",
  `set session time_zone = '+00:00', innodb_lock_wait_timeout = 10, wait_timeout = ${SILENCE_MAX_S},
    /*M! idle_transaction_timeout = ${SILENCE_IN_TRANSACTION_MAX_S}, */ autocommit = 1,
    sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'`,
];

type Waiter = (error: unknown, connection?: PooledConnection) => void;
type QueryCallback = (error: unknown, result: MysqlQueryResult) => void;

/**
 * Connections for Kysely's MySQL dialect. While the database is gone, whoever waits for a connection hears of it at once
 * instead of waiting for its turn to fail; the first that asks when it is back gets a new one.
 */
export class MysqlPool implements KyselyPool {
  readonly #options: MysqlPoolOptions;
  readonly #idle: PooledConnection[] = [];
  readonly #waiting: Waiter[] = [];
  readonly #open = new Set<PooledConnection>();
  #opening = 0;
  #closed = false;

  constructor(options: MysqlPoolOptions) {
    this.#options = options;
  }

  getConnection(callback: (error: unknown, connection: MysqlPoolConnection) => void): void {
    this.#waiting.push((error, connection) => callback(error, connection as PooledConnection));
    this.#serve();
  }

  /** Closes idle connections now and the others when they are given back. */
  end(callback: (error: unknown) => void): void {
    this.#closed = true;
    for (const waiter of this.#waiting.splice(0)) waiter(new Error("The store is closed"));
    for (const connection of this.#idle.splice(0)) connection.destroy();
    callback(undefined);
  }

  #serve(): void {
    while (this.#waiting.length > 0) {
      if (this.#closed) {
        this.end(() => undefined);
        return;
      }
      const connection = this.#idle.pop();
      if (connection !== undefined && performance.now() - connection.idleSince > IDLE_MAX_MS) {
        connection.destroy();
        return;
      }
      if (connection !== undefined) {
        this.#waiting.shift()?.(undefined, connection);
        continue;
      }
      // One connection per waiter is opened, up to the limit; the others wait for one to be given back.
      if (this.#open.size + this.#opening >= this.#options.connections || this.#opening >= this.#waiting.length) return;
      this.#connect();
    }
  }

  #connect(): void {
    this.#opening += 1;
    this.#prepare().then(
      (connection) => {
        this.#opening -= 1;
        this.#open.add(connection);
        this.#giveBack(connection);
      },
      (error) => {
        this.#opening -= 1;
        const gone = failureOf(error) === "unreachable" ? databaseGone(error) : error;
        for (const waiter of this.#waiting.splice(0)) waiter(gone);
      },
    );
  }

  async #prepare(): Promise<PooledConnection> {
    const raw = createConnection({
      ...this.#options.connection,
      connectTimeout: CONNECT_LIMIT_MS,
      charset: "utf8mb4_bin",
      timezone: "Z",
      dateStrings: true,
      supportBigNumbers: true,
      // An object among the parameters must never be spread into SQL.
      stringifyObjects: true,
    });
    const connection = new PooledConnection(raw, this.#options.statementLimitMs, {
      onRelease: (released) => this.#giveBack(released),
      onGone: (gone) => this.#forget(gone),
    });
    try {
      await new Promise<void>((resolve, reject) => {
        raw.connect((error) => (error === null || error === undefined ? resolve() : reject(error)));
      });
      for (const setting of SETTINGS) await connection.run(setting);
      return connection;
    } catch (error) {
      connection.destroy();
      throw error;
    }
  }

  #giveBack(connection: PooledConnection): void {
    if (connection.broken || this.#closed) {
      connection.destroy();
    } else {
      connection.idleSince = performance.now();
      this.#idle.push(connection);
    }
    this.#serve();
  }

  #forget(connection: PooledConnection): void {
    this.#open.delete(connection);
    const index = this.#idle.indexOf(connection);
    if (index >= 0) this.#idle.splice(index, 1);
    this.#serve();
  }
}

interface Owner {
  readonly onRelease: (connection: PooledConnection) => void;
  readonly onGone: (connection: PooledConnection) => void;
}

/** One connection, in the shape that Kysely asks for. Its errors say whether the database is gone. */
class PooledConnection implements MysqlPoolConnection {
  readonly config: object;
  idleSince = 0;
  readonly #raw: Connection;
  readonly #statementLimitMs: number;
  readonly #owner: Owner;
  #broken = false;
  /** Statements under way: mysql2 forgets those of a connection that is destroyed. */
  readonly #unanswered = new Set<(error: unknown, result: unknown) => void>();
  /** The server has rolled the transaction back; further statements of it would each be committed by themselves. */
  #doomed: unknown;

  constructor(raw: Connection, statementLimitMs: number, owner: Owner) {
    this.#raw = raw;
    this.#statementLimitMs = statementLimitMs;
    this.#owner = owner;
    this.config = raw.config;
    raw.on("error", () => this.destroy());
    raw.on("end", () => this.destroy());
  }

  get threadId(): number {
    return this.#raw.threadId ?? 0;
  }

  get broken(): boolean {
    return this.#broken;
  }

  connect(callback?: (error: unknown) => void): void {
    callback?.(undefined);
  }

  query(sql: string, parameters: readonly unknown[], callback?: QueryCallback): never {
    const done: QueryCallback = callback ?? (() => undefined);
    const ends = sql === "rollback";
    if (this.#doomed !== undefined && !ends) {
      done(this.#doomed, []);
      return undefined as never;
    }
    if (ends) this.#doomed = undefined;
    const settle = (error: unknown, result: unknown): void => {
      clearTimeout(limit);
      // A connection that is destroyed has answered for its statements already.
      if (!this.#unanswered.delete(settle)) return;
      if (error === null || error === undefined) {
        done(undefined, result as MysqlQueryResult);
      } else if (ends) {
        // A connection that can't roll back is closed, which rolls back too.
        this.destroy();
        done(undefined, []);
      } else {
        done(this.#failed(sql, error), []);
      }
    };
    this.#unanswered.add(settle);
    // Not mysql2's own limit, whose timer keeps the process alive when the connection is lost.
    const limitMs = this.#statementLimitMs;
    const limit = limitMs === 0 ? undefined : setTimeout(() => settle(tookTooLong(), []), limitMs);
    this.#raw.query({ sql }, parameters as never, settle);
    return undefined as never;
  }

  run(sql: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.query(sql, [], (error) => (error === undefined ? resolve() : reject(error)));
    });
  }

  release(): void {
    this.#owner.onRelease(this);
  }

  destroy(): void {
    if (this.#broken) return;
    this.#broken = true;
    this.#raw.destroy();
    this.#owner.onGone(this);
    for (const settle of [...this.#unanswered]) settle(connectionLost(), []);
  }

  #failed(sql: string, error: unknown): unknown {
    const failure = failureOf(error);
    if (failure === "conflict") this.#doomed = error;
    if (failure !== "unreachable") return error;
    this.destroy();
    return sql === "commit" ? commitUnknown(error) : databaseGone(error);
  }
}

function tookTooLong(): Error {
  return Object.assign(new Error("The database has not answered in time"), { code: "PROTOCOL_SEQUENCE_TIMEOUT" });
}

function connectionLost(): Error {
  return Object.assign(new Error("The connection to the database was lost"), { code: "PROTOCOL_CONNECTION_LOST" });
}
