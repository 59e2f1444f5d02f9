import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { type IncomingMessage, request as startRequest } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text as readAll } from "node:stream/consumers";
import type { HostExecLine, HostMessageLine } from "@raworc/contract";
import { bundleHost } from "../bundle.ts";
import { HOST_NODE_FLAGS } from "./node-flags.ts";

/** For the tests of this package: a computer of bubblewrap around the real bundle. */

const SESSION_ID = "0190a000-0000-7000-8000-000000000001";
const root = process.getuid?.() === 0;

export interface TestAgent {
  readonly runtime: "python" | "node" | "rust";
  readonly handler?: string;
  readonly kind?: "worker" | "binary";
  readonly program?: string;
  readonly timeoutSeconds?: number;
  readonly env?: Record<string, string>;
  /** Names and contents. */
  readonly files: Readonly<Record<string, string>>;
}

export interface MessageEnd {
  readonly lines: HostMessageLine[];
  readonly text: string;
  readonly end: Extract<HostMessageLine, { type: "end" }>;
}

export interface MessageOptions {
  readonly id?: string;
  readonly history?: unknown[];
  readonly after?: number;
  readonly forget?: readonly string[];
}

export interface TestComputerOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** Read-only folders of the machine, by their places inside. */
  readonly mounts?: Readonly<Record<string, string>>;
  /** The session is in memory, and has this many bytes. */
  readonly sessionBytes?: number;
}

let bundle: Promise<string> | undefined;
let users = 0;

/** The bundle is made once for all computers that live at the same time; the last one removes it. */
async function takeBundle(): Promise<string> {
  users += 1;
  bundle ??= (async () => {
    const directory = mkdtempSync(join(tmpdir(), "raworc-host-bundle-"));
    await bundleHost(directory);
    return directory;
  })();
  return bundle;
}

async function leaveBundle(): Promise<void> {
  users -= 1;
  const last = users === 0 ? bundle : undefined;
  if (last === undefined) return;
  bundle = undefined;
  rmSync(await last, { recursive: true, force: true });
}

export class TestComputer {
  readonly #directory = mkdtempSync(join(tmpdir(), "raworc-host-"));
  readonly #agents: Readonly<Record<string, TestAgent>>;
  readonly #options: TestComputerOptions;
  #program: Promise<string> | undefined;
  #process: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #output = "";
  #messages = 0;

  private constructor(agents: Readonly<Record<string, TestAgent>>, options: TestComputerOptions) {
    this.#agents = agents;
    this.#options = options;
  }

  /** All but the host's start. */
  static prepare(agents: Readonly<Record<string, TestAgent>> = {}, options: TestComputerOptions = {}): TestComputer {
    const computer = new TestComputer(agents, options);
    chmodSync(computer.#directory, 0o755);
    for (const folder of ["session", "socket", "agents"]) mkdirSync(join(computer.#directory, folder));
    chmodSync(computer.session(), 0o1777);
    for (const [name, agent] of Object.entries(agents)) {
      for (const [file, content] of Object.entries(agent.files)) {
        const path = join(computer.#directory, "agents", name, file);
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, content, { mode: content.startsWith("#!") ? 0o755 : 0o644 });
      }
    }
    return computer;
  }

  static async start(
    agents: Readonly<Record<string, TestAgent>> = {},
    options: TestComputerOptions = {},
  ): Promise<TestComputer> {
    const computer = TestComputer.prepare(agents, options);
    try {
      await computer.boot();
      await computer.claim();
      return computer;
    } catch (error) {
      await computer.close();
      throw error;
    }
  }

  /** A path of the session, as the machine sees it. */
  session(...parts: string[]): string {
    return join(this.#directory, "session", ...parts);
  }

  get socket(): string {
    return join(this.#directory, "socket", "host.sock");
  }

  /** What the host wrote to its stdout and stderr. */
  get output(): string {
    return this.#output;
  }

  /** Starts the computer over what is there. */
  async boot(): Promise<void> {
    this.#program ??= takeBundle();
    const program = await this.#program;
    const node = realpathSync(process.execPath);
    const ownUid = root ? [] : ["--unshare-user", "--uid", "0", "--gid", "0"];
    const words = [
      ...ownUid,
      ...["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net", "--die-with-parent"],
      ...["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_KILL"],
      ...["--tmpfs", "/", "--ro-bind", "/usr", "/usr", "--ro-bind", "/etc", "/etc", "--proc", "/proc", "--dev", "/dev"],
      // Folders that bubblewrap makes on the way to a mount are closed to others.
      ...["/opt", "/opt/node", "/opt/node/bin", "/opt/raworc", "/run"].flatMap((path) => ["--dir", path]),
      ...["bin", "sbin", "lib", "lib64"].flatMap((name) => ["--symlink", `usr/${name}`, `/${name}`]),
      ...["--ro-bind", node, "/opt/node/bin/node", "--ro-bind", program, "/opt/raworc/host"],
      ...["--ro-bind", join(this.#directory, "agents"), "/opt/raworc/agents", ...this.#sessionMount()],
      ...Object.entries(this.#options.mounts ?? {}).flatMap(([inside, path]) => ["--ro-bind", path, inside]),
      ...["--bind", join(this.#directory, "socket"), "/run/raworc/socket", "--chmod", "0700", "/run/raworc"],
      ...["--clearenv", "--setenv", "PATH", "/usr/local/bin:/usr/bin:/bin"],
      ...Object.entries({
        ...HOST_NODE_FLAGS.environment,
        ...(root ? {} : { RAWORC_HOST_AGENT_UID: "0" }),
        ...this.#options.environment,
      }).flatMap(([name, value]) => ["--setenv", name, value]),
      ...["/opt/node/bin/node", ...HOST_NODE_FLAGS.arguments, "/opt/raworc/host/host.mjs"],
    ];
    const child = spawn("bwrap", words, { stdio: ["ignore", "pipe", "pipe"] });
    this.#process = child;
    this.#ended = new Promise((resolve) => child.once("close", () => resolve()));
    const ready = new Promise<void>((resolve, reject) => {
      const onData = (chunk: Buffer): void => {
        this.#output += chunk.toString();
        if (/"msg":"host ready"/.test(this.#output)) resolve();
      };
      child.stdout?.on("data", onData);
      child.stderr?.on("data", onData);
      child.once("close", () => reject(new Error(`The host ended: ${this.#output}`)));
    });
    this.#output = "";
    await ready;
  }

  #sessionMount(): string[] {
    const bytes = this.#options.sessionBytes;
    if (bytes === undefined) return ["--bind", this.session(), "/session"];
    return ["--perms", "1777", "--size", String(bytes), "--tmpfs", "/session"];
  }

  /** The control plane's end of the way out. */
  get egressSocket(): string {
    return join(this.#directory, "socket", "egress.sock");
  }

  /** Process id of the host on the machine. */
  get hostPid(): number {
    const [init] = childrenOf(this.#process?.pid ?? 0);
    const [host] = childrenOf(init ?? 0);
    if (host === undefined) throw new Error("The host does not run");
    return host;
  }

  signalHost(signal: NodeJS.Signals): void {
    process.kill(this.hostPid, signal);
  }

  /** Resolves when nothing of the computer runs any more. */
  async ended(): Promise<void> {
    await this.#ended;
  }

  async close(): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.#ended;
    if (this.#program !== undefined) await leaveBundle();
    this.#program = undefined;
    rmSync(this.#directory, { recursive: true, force: true });
  }

  claim(changes: Record<string, unknown> = {}): Promise<{ status: number; body: unknown }> {
    const agents = Object.entries(this.#agents).map(([name, agent]) => ({
      name,
      path: `/opt/raworc/agents/${name}`,
      manifest: {
        runtime: agent.runtime,
        handler: agent.handler ?? (agent.runtime === "node" ? "index.processMessage" : "main.process_message"),
        timeout_s: agent.timeoutSeconds ?? 60,
        env: agent.env ?? {},
        kind: agent.kind ?? "worker",
        ...(agent.program === undefined ? {} : { program: agent.program }),
      },
    }));
    const claim = { session_id: SESSION_ID, space: "default", environment: {}, agents, ...changes };
    return this.call("POST", "/claim", claim);
  }

  async call(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
    const answer = await this.open(method, path, body);
    const text = await readAll(answer);
    return { status: answer.statusCode ?? 0, body: text === "" ? undefined : JSON.parse(text) };
  }

  open(method: string, path: string, body?: unknown): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const call = startRequest({ socketPath: this.socket, method, path, agent: false }, resolve);
      call.on("error", reject);
      call.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  async *lines<T>(method: string, path: string, body?: unknown): AsyncGenerator<T> {
    const answer = await this.open(method, path, body);
    if (answer.statusCode !== 200) throw new Error(`${answer.statusCode}: ${await readAll(answer)}`);
    let rest = "";
    answer.setEncoding("utf8");
    try {
      for await (const piece of answer) {
        const lines = (rest + piece).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) yield JSON.parse(line) as T;
      }
    } finally {
      answer.destroy();
    }
  }

  message(agent: string, content: string, options: MessageOptions = {}) {
    this.#messages += 1;
    const id = options.id ?? `message-${this.#messages}`;
    const context = {
      session_id: SESSION_ID,
      space: "default",
      message_id: id,
      timestamp: "2026-11-24T00:00:00.000Z",
      created_by: "admin",
      agent,
      history: options.history ?? [],
      metadata: {},
    };
    const more = { history_after: options.after, forget: options.forget };
    return { message_id: id, agent, content, context, ...more };
  }

  async send(agent: string, content: string, options: MessageOptions & { from?: number } = {}) {
    const path = `/messages?from=${options.from ?? 0}`;
    return collect(this.lines<HostMessageLine>("POST", path, this.message(agent, content, options)));
  }

  exec(command: string | string[], options: Record<string, unknown> = {}): AsyncGenerator<HostExecLine> {
    return this.lines("POST", "/exec", { command, cwd: "/session/workspace", env: {}, timeout_s: 60, ...options });
  }

  async run(command: string | string[], options: Record<string, unknown> = {}) {
    const output = { stdout: "", stderr: "" };
    for await (const line of this.exec(command, options)) {
      if (line.type === "exit") return { ...output, ...line };
      output[line.type] += Buffer.from(line.data, line.encoding).toString("utf8");
    }
    throw new Error("The answer broke off");
  }

  log(path: string | null): string {
    return readFileSync(this.session(path ?? ""), "utf8");
  }

  /** Command lines of all processes inside that hold a text. */
  processes(text: string): string[] {
    const found: string[] = [];
    const visit = (pid: number): void => {
      const line = read(`/proc/${pid}/cmdline`).replaceAll("\0", " ");
      if (line.includes(text)) found.push(line);
      for (const child of childrenOf(pid)) visit(child);
    };
    for (const child of childrenOf(this.#process?.pid ?? 0)) visit(child);
    return found;
  }
}

export async function collect(lines: AsyncIterable<HostMessageLine>): Promise<MessageEnd> {
  const all: HostMessageLine[] = [];
  for await (const line of lines) all.push(line);
  const end = all.at(-1);
  if (end?.type !== "end") throw new Error("The answer broke off");
  const text = all.map((line) => (line.type === "delta" ? line.text : "")).join("");
  return { lines: all, text, end };
}

function childrenOf(pid: number): number[] {
  return read(`/proc/${pid}/task/${pid}/children`).split(" ").filter(Boolean).map(Number);
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
