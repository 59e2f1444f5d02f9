import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConnection, type RowDataPacket } from "mysql2/promise";
import { afterAll, beforeAll, describe } from "vitest";
import type { DatabaseAddress } from "../../packages/server/src/config.ts";
import { openStore } from "../../packages/server/src/store/store.ts";
import { databaseProduct, findDatabaseProduct } from "./database-products.ts";
import { DatabaseServer } from "./database-server.ts";
import { describeWith } from "./requirements.ts";

/** Databases that suites of the store run on. RAWORC_TEST_DATABASES narrows them: `sqlite`, or `mariadb,sqlite`. */
const KINDS = ["sqlite", "mariadb"] as const;

/** What a suite has of the database that it runs on at the moment. */
export interface TestDatabases {
  readonly kind: (typeof KINDS)[number];
  /** The address of a new database without tables. */
  create(): Promise<DatabaseAddress>;
  /** The address of a database with this version's tables and nothing in them; one test uses it at a time. */
  prepare(): Promise<DatabaseAddress>;
}

/** One suite for each kind of database. */
export function describeDatabases(name: string, body: (databases: TestDatabases) => void): void {
  const wanted = process.env["RAWORC_TEST_DATABASES"]?.split(",") ?? KINDS;
  if (wanted.includes("sqlite")) describe(`${name} on SQLite`, () => body(sqliteDatabases()));
  if (wanted.includes("mariadb"))
    describeWith(["mariadb"], `${name} on ${findDatabaseProduct()?.name ?? "MariaDB"}`, () => body(mariadbDatabases()));
}

function sqliteDatabases(): TestDatabases {
  let directory: string;
  let count = 0;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "raworc-store-"));
  });
  afterAll(() => rm(directory, { recursive: true }));
  const create = async (): Promise<DatabaseAddress> => {
    count += 1;
    return { kind: "sqlite", path: join(directory, `${count}.db`) };
  };
  return { kind: "sqlite", create, prepare: create };
}

/** No machine dies in these suites, so nothing waits for the disk. */
function mariadbDatabases(): TestDatabases {
  const product = databaseProduct();
  let server: DatabaseServer;
  let prepared: PreparedDatabase | undefined;
  beforeAll(async () => {
    server = await DatabaseServer.start(product.unsafeSettings, product);
  });
  afterAll(() => server?.destroy());
  return {
    kind: "mariadb",
    create: async () => ({ kind: "mysql", url: await server.database() }),
    prepare: async () => {
      prepared ??= await PreparedDatabase.make(await server.database());
      await prepared.empty();
      return { kind: "mysql", url: prepared.url };
    },
  };
}

/** A database that is migrated once, since that takes longer than most tests, and emptied before each of them. */
class PreparedDatabase {
  readonly url: string;
  /** Rows by table, as the migrations left them. */
  readonly #rows: ReadonlyMap<string, readonly Record<string, unknown>[]>;

  private constructor(url: string, rows: ReadonlyMap<string, readonly Record<string, unknown>[]>) {
    this.url = url;
    this.#rows = rows;
  }

  static async make(url: string): Promise<PreparedDatabase> {
    await (await openStore({ kind: "mysql", url })).close();
    const connection = await createConnection(url);
    try {
      const rows = new Map<string, Record<string, unknown>[]>();
      const [tables] = await connection.query<RowDataPacket[]>({ sql: "show tables", rowsAsArray: true });
      for (const [table] of tables as unknown as string[][]) {
        if (table === undefined) continue;
        const [found] = await connection.query<RowDataPacket[]>("select * from ??", [table]);
        rows.set(table, found);
      }
      return new PreparedDatabase(url, rows);
    } finally {
      await connection.end();
    }
  }

  async empty(): Promise<void> {
    const connection = await createConnection(this.url);
    try {
      await connection.query("set foreign_key_checks = 0");
      for (const [table, rows] of this.#rows) {
        await connection.query("delete from ??", [table]);
        for (const row of rows) await connection.query("insert into ?? set ?", [table, row]);
      }
    } finally {
      await connection.end();
    }
  }
}
