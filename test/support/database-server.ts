import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { createConnection } from "mysql2/promise";
import { databaseProduct } from "./database-products.ts";

const READY_MS = 60_000;

/** Small and quick to start; durable all the same, so that a kill loses nothing that was committed. */
const SETTINGS = [
  "--skip-name-resolve",
  "--bind-address=127.0.0.1",
  "--max-allowed-packet=64M",
  "--max-connections=200",
  "--innodb-buffer-pool-size=64M",
  "--innodb-flush-log-at-trx-commit=1",
  "--key-buffer-size=1M",
  "--performance-schema=0",
];

/** What makes and runs databases. */
export interface DatabaseProduct {
  readonly name: string;
  /** The root folder that it runs in: `/`, or one that it was unpacked into. */
  readonly root: string;
  readonly settings: readonly string[];
  /** For data of no worth, which no machine's end may take. */
  readonly unsafeSettings: readonly string[];
  /** The words of a command that makes an empty data directory; a place within the root. */
  readonly install: (data: string) => readonly string[];
  readonly program: string;
  readonly withoutTls: readonly string[];
  /** Statements after the first start, for whoever is root at the socket. */
  readonly firstStatements: readonly string[];
}

/** A real database server of its own, on a private port and socket, with data that are thrown away. */
export class DatabaseServer {
  readonly #product: DatabaseProduct;
  /** Within the product's root. */
  readonly #directory: string;
  readonly #port: number;
  readonly #settings: readonly string[];
  #process: ChildProcess | undefined;
  #output = "";
  #databases = 0;

  private constructor(product: DatabaseProduct, directory: string, port: number, settings: readonly string[]) {
    this.#product = product;
    this.#directory = directory;
    this.#port = port;
    this.#settings = settings;
  }

  static async start(settings: readonly string[] = [], product = databaseProduct()): Promise<DatabaseServer> {
    const path = await mkdtemp(join(product.root, tmpdir(), "raworc-database-"));
    const directory = placeInRoot(product, path);
    const [program = "", ...words] = inRoot(product, product.install(join(directory, "data")));
    execFileSync(program, words, { stdio: "ignore", env: environmentOf(directory) });
    const server = new DatabaseServer(product, directory, await freePort(), settings);
    await server.start();
    for (const statement of product.firstStatements) await server.execute(statement);
    return server;
  }

  /** Starts it, or starts it again with the data that are there. */
  async start(): Promise<void> {
    const words = [
      this.#product.program,
      "--no-defaults",
      `--user=${userInfo().username}`,
      `--datadir=${join(this.#directory, "data")}`,
      `--socket=${join(this.#directory, "socket")}`,
      `--pid-file=${join(this.#directory, "pid")}`,
      `--port=${this.#port}`,
      ...SETTINGS,
      ...this.#product.settings,
      ...this.#settings,
    ];
    const [program = "", ...others] = inRoot(this.#product, words);
    const child = spawn(program, others, { stdio: ["ignore", "ignore", "pipe"], env: environmentOf(this.#directory) });
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
    if (!(await ready)) throw new Error(`${this.#product.name} did not start:\n${this.#output}`);
  }

  get socket(): string {
    return join(this.#product.root, this.#directory, "socket");
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
    await rm(join(this.#product.root, this.#directory), { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  }
}

/** How a file of the machine is called within a product's root, which it must lie below. */
export function placeInRoot({ root }: DatabaseProduct, path: string): string {
  return root === "/" ? path : path.slice(root.length);
}

/** The root's own process, not one around it: it is paused and killed. */
function inRoot({ root }: DatabaseProduct, words: readonly string[]): readonly string[] {
  return root === "/" ? words : ["chroot", root, ...words];
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
