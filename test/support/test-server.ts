import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, createClient } from "@raworc/client";
import { API_BASE } from "@raworc/contract";
import type { ApiDocument } from "../../packages/server/src/http/openapi/document.ts";
import { SERVER_NODE_FLAGS } from "../../packages/server/src/node-flags.ts";
import { AnswerCheck } from "./answer-check.ts";

const MAIN = new URL("../../packages/server/src/main.ts", import.meta.url).pathname;
const READY_MS = 60_000;
/** Servers start often in tests, and always from the same sources. */
const COMPILE_CACHE = new URL("../../node_modules/.cache/raworc", import.meta.url).pathname;

/** Answers are checked in tests, and not where speed is measured. */
const isTest = process.env["VITEST"] !== undefined;

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

  get isRunning(): boolean {
    const child = this.#process;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** Starts the process, or starts it again on the same port and data. `more` of the environment is for this one. */
  async start(more: Readonly<Record<string, string>> = {}): Promise<void> {
    const child = spawn(process.execPath, [...SERVER_NODE_FLAGS.arguments, MAIN], {
      env: { ...this.environment(), ...more },
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    this.#process = child;
    const output: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk: Buffer) => output.push(chunk));
    this.#output = output;
    const ready = await Promise.race([
      once(child, "message").then(([message]) => message as { url?: string | null }),
      once(child, "exit").then(() => undefined),
      new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), READY_MS).unref()),
    ]);
    if (ready?.url === undefined) throw new Error(`The server did not start:\n${Buffer.concat(output).toString()}`);
    // An operator alone has no address.
    if (ready.url === null) return;
    this.#url = ready.url;
    this.#port = new URL(ready.url).port;
  }

  environment(): Record<string, string> {
    const certificates = "/etc/ssl/certs/ca-certificates.crt";
    return {
      ...SERVER_NODE_FLAGS.environment,
      PATH: process.env["PATH"] ?? "/usr/bin:/bin",
      HOME: process.env["HOME"] ?? "/root",
      NODE_COMPILE_CACHE: COMPILE_CACHE,
      RAWORC_HOME: this.home,
      RAWORC_PORT: this.#port,
      RAWORC_RUNTIME: this.#options.runtime,
      RAWORC_ALLOW_LOCAL_SOURCES: "true",
      RAWORC_LOG_LEVEL: "debug",
      RAWORC_CHECK_ANSWERS: String(isTest),
      SSL_CERT_FILE: process.env["SSL_CERT_FILE"] ?? certificates,
      ...this.#options.environment,
    };
  }

  async client(user = "admin", pass = "admin"): Promise<Client> {
    const options = { server: this.#url, ...(isTest ? { fetch: await this.#checkingFetch() } : {}) };
    const { token } = await createClient(options).call("auth.login", { body: { user, pass } });
    return createClient({ ...options, token });
  }

  /** A fetch that rejects where an answer is not what the server's own document says. */
  async #checkingFetch(): Promise<typeof fetch> {
    const document = await fetch(`${this.#url}${API_BASE}/openapi.json`);
    const answers = new AnswerCheck((await document.json()) as ApiDocument);
    return async (input, init) => {
      const response = await fetch(input, init);
      const contentType = response.headers.get("content-type") ?? undefined;
      const isJson = contentType?.includes("json") === true;
      const fault = answers.problemOf({
        method: init?.method ?? "GET",
        url: new URL(response.url).pathname,
        status: response.status,
        contentType,
        body: isJson ? await response.clone().text() : "",
      });
      if (fault !== undefined) throw new Error(`An answer that the API's document doesn't describe: ${fault}`);
      return response;
    };
  }

  /** Resolves when the present process has ended. */
  async ended(): Promise<void> {
    if (this.#process !== undefined && this.isRunning) await once(this.#process, "exit");
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

  /** Another server of this installation: the same data directory, database and keys, a home of its own. It ends by `leave`. */
  async startPeer(more: Readonly<Record<string, string>> = {}): Promise<TestServer> {
    const { RAWORC_DATA_DIR = join(this.home, "data") } = this.#options.environment ?? {};
    return TestServer.start({
      ...this.#options,
      environment: { ...this.#options.environment, RAWORC_DATA_DIR, ...more },
    });
  }

  /** Stops it, and leaves the installation to the other servers. */
  async leave(): Promise<void> {
    await this.stop();
    await rm(this.home, { recursive: true, force: true });
  }

  /** Stops it, and removes everything of this installation. */
  async destroy(): Promise<void> {
    await this.stop();
    const reset = spawn(process.execPath, [...SERVER_NODE_FLAGS.arguments, MAIN, "reset"], {
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
