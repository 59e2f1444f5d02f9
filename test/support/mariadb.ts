import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { createConnection } from "mysql2/promise";

const READY_MS = 60_000;

/** Small and quick to start; durable all the same, so that a kill loses nothing that was committed. */
const SETTINGS = [
  "--skip-name-resolve",
  "--bind-address=127.0.0.1",
  "--max-allowed-packet=64M",
  "--max-connections=200",
  "--innodb-buffer-pool-size=64M",
  "--innodb-log-file-size=16M",
  "--innodb-flush-log-at-trx-commit=1",
  "--key-buffer-size=1M",
  "--performance-schema=0",
];

export function mariadbProgram(): string | undefined {
  const folders = ["/usr/sbin", ...(process.env["PATH"] ?? "").split(":")];
  return folders.map((folder) => join(folder, "mariadbd")).find((path) => existsSync(path));
}

/** A real MariaDB of its own, on a private port and socket, with data that are thrown away. */
export class MariadbServer {
  readonly #directory: string;
  readonly #port: number;
  readonly #settings: readonly string[];
  #process: ChildProcess | undefined;
  #output = "";
  #databases = 0;

  private constructor(directory: string, port: number, settings: readonly string[]) {
    this.#directory = directory;
    this.#port = port;
    this.#settings = settings;
  }

  static async start(settings: readonly string[] = []): Promise<MariadbServer> {
    const directory = await mkdtemp(join(tmpdir(), "raworc-mariadb-"));
    execFileSync(
      "mariadb-install-db",
      [
        "--no-defaults",
        `--user=${userInfo().username}`,
        `--datadir=${join(directory, "data")}`,
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        "--innodb-log-file-size=16M",
      ],
      { stdio: "ignore", env: environmentOf(directory) },
    );
    const server = new MariadbServer(directory, await freePort(), settings);
    await server.start();
    return server;
  }

  /** Starts it, or starts it again with the data that are there. */
  async start(): Promise<void> {
    const child = spawn(
      mariadbProgram() ?? "mariadbd",
      [
        "--no-defaults",
        `--user=${userInfo().username}`,
        `--datadir=${join(this.#directory, "data")}`,
        `--socket=${this.socket}`,
        `--pid-file=${join(this.#directory, "pid")}`,
        `--port=${this.#port}`,
        ...SETTINGS,
        ...this.#settings,
      ],
      { stdio: ["ignore", "ignore", "pipe"], env: environmentOf(this.#directory) },
    );
    this.#process = child;
    this.#output = "";
    const ready = new Promise<boolean>((resolve) => {
      child.stderr.on("data", (chunk: Buffer) => {
        this.#output += chunk.toString();
        if (this.#output.includes("ready for connections")) resolve(true);
      });
      child.once("exit", () => resolve(false));
      setTimeout(() => resolve(false), READY_MS).unref();
    });
    if (!(await ready)) throw new Error(`MariaDB did not start:\n${this.#output}`);
  }

  get socket(): string {
    return join(this.#directory, "socket");
  }

  /** Makes an empty database and gives its address, as DATABASE_URL takes it. */
  async database(): Promise<string> {
    this.#databases += 1;
    const name = `raworc_${this.#databases}`;
    // Another character set and collation than ours, as a server may well have: nothing must depend on it.
    await this.execute(`create database ${name} character set latin1`);
    return `mysql://root@127.0.0.1:${this.#port}/${name}`;
  }

  async execute(statement: string): Promise<void> {
    const connection = await createConnection({ socketPath: this.socket, user: "root" });
    try {
      await connection.query(statement);
    } finally {
      await connection.end();
    }
  }

  /** Ends it with no chance to tidy up. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Leaves its connections open and answers nothing. */
  pause(): void {
    this.#process?.kill("SIGSTOP");
  }

  resume(): void {
    this.#process?.kill("SIGCONT");
  }

  /** Stops it and throws its data away. */
  async destroy(): Promise<void> {
    await this.#end("SIGKILL");
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  }
}

/** One that starts removes all temporary tables where it keeps its own. */
function environmentOf(directory: string): NodeJS.ProcessEnv {
  return { ...process.env, TMPDIR: directory };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}
