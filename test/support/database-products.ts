import { existsSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import type { DatabaseProduct } from "./database-server.ts";

const mariadb = (program: string): DatabaseProduct => ({
  name: "MariaDB",
  root: "/",
  settings: ["--innodb-log-file-size=16M"],
  unsafeSettings: ["--innodb-flush-method=nosync", "--innodb-flush-log-at-trx-commit=0", "--sync-frm=0"],
  install: (data) => [
    "mariadb-install-db",
    "--no-defaults",
    `--user=${userInfo().username}`,
    `--datadir=${data}`,
    "--auth-root-authentication-method=normal",
    "--skip-test-db",
    "--innodb-log-file-size=16M",
  ],
  withoutTls: [],
  program,
  firstStatements: [],
});

const MYSQL_PROGRAM = "/usr/sbin/mysqld";

const mysql = (root: string): DatabaseProduct => ({
  name: "MySQL",
  root,
  settings: ["--innodb-redo-log-capacity=16M", "--skip-log-bin", "--mysqlx=0", "--secure-file-priv=NULL"],
  unsafeSettings: ["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0"],
  install: (data) => [
    MYSQL_PROGRAM,
    "--no-defaults",
    "--initialize-insecure",
    `--user=${userInfo().username}`,
    `--datadir=${data}`,
    "--innodb-redo-log-capacity=16M",
  ],
  withoutTls: ["--tls-version="],
  program: MYSQL_PROGRAM,
  firstStatements: ["create user root@127.0.0.1", "grant all on *.* to root@127.0.0.1 with grant option"],
});

/** A folder that `scripts/mysql-root.sh` has made: MySQL then takes the place of the machine's MariaDB in all suites. */
const MYSQL_ROOT = process.env["RAWORC_TEST_MYSQL_ROOT"];

/** Undefined where the machine has none. */
export function findDatabaseProduct(): DatabaseProduct | undefined {
  if (MYSQL_ROOT !== undefined) return mysql(MYSQL_ROOT);
  const folders = ["/usr/sbin", ...(process.env["PATH"] ?? "").split(":")];
  const program = folders.map((folder) => join(folder, "mariadbd")).find((path) => existsSync(path));
  return program === undefined ? undefined : mariadb(program);
}

/** What the suites run on. Throws where the machine has none. */
export function databaseProduct(): DatabaseProduct {
  const product = findDatabaseProduct();
  if (product === undefined) throw new Error("There is no mariadbd here; install mariadb-server-core");
  return product;
}
