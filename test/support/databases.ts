import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
import type { DatabaseAddress } from "../../packages/server/src/config.ts";
import { MariadbServer } from "./mariadb.ts";
import { describeWith } from "./requirements.ts";

/** Databases that suites of the store run on. RAWORC_TEST_DATABASES narrows them: `sqlite`, or `mariadb,sqlite`. */
const KINDS = ["sqlite", "mariadb"] as const;

/** What a suite has of the database that it runs on at the moment. */
export interface TestDatabases {
  readonly kind: (typeof KINDS)[number];
  /** The address of a new and empty database; it is thrown away after the suite. */
  create(): Promise<DatabaseAddress>;
}

/** One suite for each kind of database. */
export function describeDatabases(name: string, body: (databases: TestDatabases) => void): void {
  const wanted = process.env["RAWORC_TEST_DATABASES"]?.split(",") ?? KINDS;
  if (wanted.includes("sqlite")) describe(`${name} on SQLite`, () => body(sqliteDatabases()));
  if (wanted.includes("mariadb")) describeWith(["mariadb"], `${name} on MariaDB`, () => body(mariadbDatabases()));
}

function sqliteDatabases(): TestDatabases {
  let directory: string;
  let count = 0;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "raworc-store-"));
  });
  afterAll(() => rm(directory, { recursive: true }));
  return {
    kind: "sqlite",
    create: async () => {
      count += 1;
      return { kind: "sqlite", path: join(directory, `${count}.db`) };
    },
  };
}

function mariadbDatabases(): TestDatabases {
  let server: MariadbServer;
  beforeAll(async () => {
    server = await MariadbServer.start();
  });
  afterAll(() => server?.destroy());
  return { kind: "mariadb", create: async () => ({ kind: "mysql", url: await server.database() }) };
}
