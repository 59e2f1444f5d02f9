import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, createClient } from "@raworc/client";

const MAIN = new URL("../../packages/server/src/main.ts", import.meta.url).pathname;
const READY_MS = 60_000;

export interface TestServerOptions {
  readonly runtime: "docker" | "sandbox";
  readonly environment?: Readonly<Record<string, string>>;
}

export type { Client } from "@raworc/client";

/** A real control plane as a process of its own, with a home that is thrown away. */
export class TestServer {
  readonly home: string;
  readonly #options: TestServerOptions;
  #process: ChildProcess | undefined;
  #url = "";
  #port = "0";
  #output: Buffer[] = [];

  private constructor(home: string, options: TestServerOptions) {
    this.home = home;
    this.#options = options;
  }

  static async start(options: TestServerOptions): Promise<TestServer> {
    const server = new TestServer(await mkdtemp(join(tmpdir(), "raworc-test-")), options);
    await server.start();
    return server;
  }

  get url(): string {
    return this.#url;
  }

  get pid(): number {
    return this.#process?.pid ?? -1;
  }

  /** Starts the process, or starts it again on the same port and data. */
  async start(): Promise<void> {
    const child = spawn(process.execPath, [MAIN], {
      env: this.environment(),
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    this.#process = child;
    const output: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk: Buffer) => output.push(chunk));
    this.#output = output;
    const ready = await Promise.race([
      once(child, "message").then(([message]) => message as { url?: string }),
      once(child, "exit").then(() => undefined),
      new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), READY_MS).unref()),
    ]);
    if (ready?.url === undefined) throw new Error(`The server did not start:\n${Buffer.concat(output).toString()}`);
    this.#url = ready.url;
    this.#port = new URL(ready.url).port;
  }

  environment(): Record<string, string> {
    const certificates = "/etc/ssl/certs/ca-certificates.crt";
    return {
      PATH: process.env["PATH"] ?? "/usr/bin:/bin",
      HOME: process.env["HOME"] ?? "/root",
      RAWORC_HOME: this.home,
      RAWORC_PORT: this.#port,
      RAWORC_RUNTIME: this.#options.runtime,
      RAWORC_ALLOW_LOCAL_SOURCES: "true",
      RAWORC_LOG_LEVEL: "debug",
      SSL_CERT_FILE: process.env["SSL_CERT_FILE"] ?? certificates,
      ...this.#options.environment,
    };
  }

  async client(user = "admin", pass = "admin"): Promise<Client> {
    const { token } = await createClient({ server: this.#url }).call("auth.login", { body: { user, pass } });
    return createClient({ server: this.#url, token });
  }

  /** Ends the process with no chance to tidy up. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }

  /** Stops the process and gives its exit code. */
  async stop(): Promise<number | null> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return null;
    const exited = once(child, "exit");
    child.kill("SIGTERM");
    const [code] = await exited;
    return code;
  }

  /** What the present process has written. */
  log(): string {
    return Buffer.concat(this.#output).toString();
  }

  /** Stops it, and removes everything of this installation. */
  async destroy(): Promise<void> {
    await this.stop();
    const reset = spawn(process.execPath, [MAIN, "reset"], {
      env: this.environment(),
      stdio: ["ignore", "ignore", "pipe"],
    });
    const errors: Buffer[] = [];
    reset.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
    const [code] = await once(reset, "close");
    if (code !== 0) throw new Error(`The reset failed:\n${Buffer.concat(errors).toString()}`);
    await rm(this.home, { recursive: true, force: true });
  }
}
