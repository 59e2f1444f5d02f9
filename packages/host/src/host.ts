import { existsSync } from "node:fs";
import { COMPUTER } from "@raworc/contract";
import { AgentProcesses } from "./agent-process.ts";
import { Agents } from "./agents.ts";
import { ClaimedSession } from "./claimed-session.ts";
import type { Config } from "./config.ts";
import { startEgressRelay } from "./egress-relay.ts";
import { commandEnvironment } from "./environment.ts";
import { runCommand } from "./exec.ts";
import { Files } from "./files.ts";
import { prepareFolders } from "./folders.ts";
import { logLine } from "./host-log.ts";
import { IdleMemory } from "./idle-memory.ts";
import { Journal } from "./journal.ts";
import { GRACE_MS } from "./limits.ts";
import { sendLogs } from "./logs.ts";
import { sendLines } from "./message-lines.ts";
import { Messages } from "./messages.ts";
import { OutputPipes } from "./output-pipes.ts";
import { Ports } from "./ports.ts";
import { RequestError, readClaim, readExec, readForget, readMessage } from "./requests.ts";
import { type Call, type Handler, HostServer, readBody, sendEmpty, sendJson, type UpgradeHandler } from "./server.ts";
import { Terminals } from "./terminals.ts";
import { sendUsage } from "./usage.ts";

/** Set by the bundler. */
declare const HOST_VERSION: string;

/** Process 1's work: everything is made here once. */
export class Host {
  readonly #config: Config;
  readonly #proxied: boolean;
  readonly #session = new ClaimedSession();
  readonly #processes: AgentProcesses;
  readonly #agents: Agents;
  readonly #messages: Messages;
  readonly #journal: Journal;
  readonly #files: Files;
  readonly #server: HostServer;
  #closing: Promise<void> | undefined;

  private constructor(config: Config, proxied: boolean, pipes: OutputPipes) {
    this.#config = config;
    this.#proxied = proxied;
    this.#processes = new AgentProcesses(config, pipes);
    this.#journal = Journal.open(`${COMPUTER.state}/journal.ndjson`);
    this.#agents = new Agents({ config, proxied, session: this.#session, processes: this.#processes });
    this.#messages = new Messages(this.#journal, this.#agents);
    this.#files = new Files(config, this.#processes);
    const memory = new IdleMemory();
    const routes: Record<string, Handler> = {
      "GET /health": ({ response }) => sendJson(response, this.#health()),
      "GET /watch": ({ response }) => response.writeHead(200).flushHeaders(),
      "POST /claim": (call) => this.#claim(call),
      "POST /messages": (call) => this.#message(call),
      "POST /messages/forget": (call) => this.#forget(call),
      "GET /messages/{}": (call) => sendLines(this.#entry(call.id), readFrom(call.url), call.response),
      "POST /messages/{}/cancel": (call) => this.#cancel(call),
      "POST /exec": (call) => this.#exec(call),
      ...this.#files.routes,
      "GET /logs": (call) => sendLogs(call),
      "GET /usage": (call) => sendUsage(this.#processes, call),
      "POST /shutdown": (call) => this.#shutdown(call),
    };
    const terminals = new Terminals({ processes: this.#processes, environment: () => this.#commandEnvironment({}) });
    const ports = new Ports(proxied);
    const upgrades: Record<string, UpgradeHandler> = {
      terminals: (id, url) => {
        this.#refuseWhenClosing();
        return terminals.view(id, url);
      },
      ports: (id) => ports.connect(id),
    };
    this.#server = new HostServer(routes, upgrades, () => memory.used());
  }

  /** Answers when it resolves. */
  static async start(config: Config): Promise<Host> {
    await prepareFolders(config);
    const proxied = existsSync(`${COMPUTER.socketDirectory}/${COMPUTER.egressSocket}`);
    if (proxied) await startEgressRelay();
    const pipes = new OutputPipes(["/dev/shm/raworc-host-pipes", `${COMPUTER.state}/pipes`]);
    pipes.prepare();
    const host = new Host(config, proxied, pipes);
    host.#messages.endAbandoned();
    host.#files.begin();
    await host.#server.listen();
    logLine("info", "host ready", { version: HOST_VERSION, agent_uid: config.agentUid, proxied });
    return host;
  }

  /** Ends all agents and commands. What runs gets its end in the journal. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#server.close();
    this.#messages.stop();
    const commands = [...this.#processes.living];
    for (const command of commands) command.signal("SIGTERM");
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, GRACE_MS);
    await Promise.race([this.#ended(), late]);
    clearTimeout(timer);
    await Promise.all([...this.#processes.living].map((command) => command.killTree()));
    await this.#ended();
    this.#journal.close();
    logLine("info", "host ends");
  }

  async #ended(): Promise<void> {
    const ends = [...this.#processes.living].map(
      ({ child }) => new Promise<void>((resolve) => child.once("exit", () => resolve())),
    );
    await Promise.all([...ends, this.#messages.settled()]);
  }

  #health() {
    return {
      status: "ok",
      version: HOST_VERSION,
      session_id: this.#session.id,
      uptime_ms: Math.round(performance.now()),
    };
  }

  async #claim({ request, response }: Call): Promise<void> {
    this.#session.claim(readClaim(await readBody(request)));
    await this.#agents.replaceOutdated();
    sendEmpty(response, 204);
  }

  async #message({ request, response, url }: Call): Promise<void> {
    const from = readFrom(url);
    const message = readMessage(await readBody(request));
    this.#refuseWhenClosing();
    if (this.#session.id === null) throw new RequestError(409, "wrong_state", "Nobody has claimed this computer yet");
    await sendLines(this.#messages.deliver(message), from, response);
  }

  #cancel({ id, response }: Call): void {
    this.#entry(id);
    this.#messages.cancel(id);
    sendEmpty(response, 202);
  }

  async #forget({ request, response }: Call): Promise<void> {
    this.#messages.forgetEnded(readForget(await readBody(request)));
    sendEmpty(response, 204);
  }

  async #exec({ request, response }: Call): Promise<void> {
    const exec = readExec(await readBody(request));
    this.#refuseWhenClosing();
    await runCommand(this.#processes, exec, this.#commandEnvironment(exec.env), response);
  }

  #commandEnvironment(given: Readonly<Record<string, string>>): Record<string, string> {
    const source = { config: this.#config, proxied: this.#proxied, claimed: this.#session.environmentSource };
    return commandEnvironment(source, given);
  }

  #shutdown({ response }: Call): void {
    response.once("close", () => process.kill(process.pid, "SIGTERM"));
    sendEmpty(response, 202);
  }

  #entry(id: string) {
    const entry = this.#messages.find(id);
    if (entry === undefined) throw new RequestError(404, "not_found", `Message ${id} was never started here`);
    return entry;
  }

  #refuseWhenClosing(): void {
    if (this.#closing !== undefined) throw new RequestError(503, "draining", "The computer is stopping");
  }
}

function readFrom(url: URL): number {
  const from = url.searchParams.get("from") ?? "0";
  if (!/^\d{1,9}$/.test(from)) throw new RequestError(422, "validation_failed", "from must be a line's number");
  return Number(from);
}
