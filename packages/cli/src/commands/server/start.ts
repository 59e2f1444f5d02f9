import { stat } from "node:fs/promises";
import { ApiError } from "@raworc/client";
import { Option } from "commander";
import { type Command, createCommand, wholeNumber, withExamples } from "../../command.ts";
import { type Context, isLocal, normalizeServer } from "../../context.ts";
import { CommandFailure, SilentFailure, UsageFailure } from "../../failure.ts";
import { type Overrides, processStartTime, type ServerState } from "../../local-server.ts";
import { formatLogLine, readTail } from "../../log-lines.ts";
import { writeReport } from "../../report.ts";
import { type StartedServer, StartFailure, startServer } from "../../server-process.ts";
import { Spinner } from "../../spinner.ts";
import { stopServer } from "./stop.ts";

export interface StartOptions {
  readonly foreground?: boolean;
  readonly restart?: boolean;
  readonly port?: number;
  readonly host?: string;
  readonly runtime?: string;
  readonly database?: string;
}

const COMPONENTS = ["server", "operator"];
const LOG_TAIL_LINES = 15;

export function startCommand(context: Context): Command {
  const command = createCommand(context, "start")
    .summary("start the control plane in the background")
    .description(
      "Starts the control plane in the background, waits until it is healthy and logs the local user in. The first start " +
        "makes the data directory and the keys.",
    )
    .argument("[components...]", "server and operator, for scripts that name them: both are one process")
    .option("--foreground", "stay in the foreground, with the log on the terminal")
    .option("--restart", "stop a server that runs first")
    .option("--port <port>", "port to listen on; 0 takes a free one", wholeNumber(0, 65_535))
    .option("--host <address>", "address to listen on (default: 127.0.0.1)")
    .addOption(
      new Option("--runtime <driver>", "what makes session computers (default: auto)").choices([
        "auto",
        "docker",
        "sandbox",
        "kubernetes",
      ]),
    )
    .option("--database <url>", "mysql://… instead of SQLite in the data directory")
    .action((components: readonly string[], options: StartOptions) => {
      const unknown = components.find((name) => !COMPONENTS.includes(name));
      if (unknown !== undefined)
        throw new UsageFailure(`There is no component ${unknown}.`, ["leave it out: one process holds all"]);
      return runStart(context, options);
    });
  return withExamples(context, command, [
    "raworc start",
    "raworc start --runtime sandbox --port 9100",
    "raworc start --foreground",
  ]);
}

export async function runStart(context: Context, options: StartOptions): Promise<void> {
  const { out } = context.streams;
  const running = await context.localServer.running();
  if (running !== undefined && options.restart !== true) {
    out.line(`Raworc is already running at ${running.url} (pid ${running.pid}).`);
    if (Object.keys(overridesOf(options)).length > 0) out.line("To apply other options: raworc start --restart …");
    await logIn(context, normalizeServer(running.url));
    return;
  }
  if (running !== undefined) await stopServer(context, running);
  await launch(context, overridesOf(options), options.foreground === true);
}

/** The variables that stand for the options. */
export function overridesOf(options: StartOptions): Overrides {
  const named: Record<string, string | number | undefined> = {
    RAWORC_PORT: options.port,
    RAWORC_HOST: options.host,
    RAWORC_RUNTIME: options.runtime,
    DATABASE_URL: options.database,
  };
  const given = Object.entries(named).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given.map(([name, value]) => [name, String(value)]));
}

/** Starts the server with these variables over the environment's, and logs the local user in. */
export async function launch(context: Context, overrides: Overrides, foreground: boolean): Promise<void> {
  const { out } = context.streams;
  const before = context.now();
  const started = await startWatched(context, overrides, foreground);
  const state = await record(context, started, overrides);
  const seconds = ((context.now() - before) / 1000).toFixed(1);
  out.line(
    `${out.paint("green", "✓")} Raworc runs at ${out.paint("bold", state.url)} (pid ${state.pid}, started in ${seconds} s)`,
  );
  out.line(`  Runtime: ${state.runtime}${state.reason === "" ? "" : `, ${state.reason}`}`);
  await logIn(context, normalizeServer(state.url));
  if (foreground) await stayWith(context, started);
}

async function startWatched(context: Context, overrides: Overrides, foreground: boolean): Promise<StartedServer> {
  const { config, localServer, streams } = context;
  const path = localServer.logPath;
  const logFrom = await stat(path).then(
    ({ size }) => size,
    () => 0,
  );
  const spinner = new Spinner(streams.err, config);
  const interrupt = new AbortController();
  const onSignal = (): void => interrupt.abort();
  process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
  if (!foreground) spinner.start("Starting Raworc...");
  try {
    return await startServer({
      config,
      overrides,
      output: foreground ? { kind: "inherit" } : { kind: "log", path },
      signal: interrupt.signal,
      onProgress: (text) => (foreground ? undefined : spinner.start(text)),
    });
  } catch (error) {
    spinner.stop();
    if (!(error instanceof StartFailure)) throw error;
    if (interrupt.signal.aborted) throw new CommandFailure("The start was interrupted.");
    writeReport({ message: error.message, hints: [] }, streams.err);
    if (!foreground && !error.isExplained) await showLogTail(context, logFrom);
    throw new SilentFailure();
  } finally {
    spinner.stop();
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
}

async function showLogTail(context: Context, from: number): Promise<void> {
  const { err } = context.streams;
  const { logPath } = context.localServer;
  const tail = await readTail(logPath, LOG_TAIL_LINES, from).catch(() => undefined);
  if (tail === undefined || tail.lines.length === 0) return;
  err.line();
  err.line(err.paint("dim", `The end of ${logPath}:`));
  for (const line of tail.lines) err.line(`  ${formatLogLine(line, err)}`);
}

async function record(context: Context, started: StartedServer, overrides: Overrides): Promise<ServerState> {
  const pid = started.process.pid ?? 0;
  const startTime = await processStartTime(pid);
  if (startTime === undefined)
    throw new CommandFailure("The server ended as soon as it was ready.", ["see: raworc logs server"]);
  const state: ServerState = {
    pid,
    start_time: startTime,
    url: started.url,
    started_at: new Date(context.now()).toISOString(),
    runtime: started.runtime,
    reason: started.reason,
    // A port that the system chose is kept by restarts, so that the address stays.
    overrides: overrides["RAWORC_PORT"] === "0" ? { ...overrides, RAWORC_PORT: new URL(started.url).port } : overrides,
  };
  await context.localServer.save(state);
  return state;
}

/** Logs in as admin with the password of the first start, unless a login for this server is good already. */
async function logIn(context: Context, server: string): Promise<void> {
  const { config, logins } = context;
  const { err, out } = context.streams;
  const saved = await logins.find(server);
  const others = await logins.current();
  const user = saved === undefined ? undefined : await userOf(context, server, saved.token);
  if (user !== undefined) {
    await logins.use(server);
    out.line(`  Logged in as ${user}`);
  } else {
    try {
      const pass = config.adminPassword ?? "admin";
      const login = await context.clientOf(server).call("auth.login", { body: { user: "admin", pass } });
      await logins.save(server, login);
      out.line(`  Logged in as ${login.user}`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const reason = error.code === "bad_credentials" ? "the password of admin is another one" : error.message;
      err.line(`${err.paint("yellow", "note:")} not logged in, ${reason}; log in with: raworc auth login`);
      return;
    }
  }
  if (others !== undefined && others !== server && !isLocal(others)) {
    out.line(`  Commands go to this server now, no longer to ${others}`);
  }
}

async function userOf(context: Context, server: string, token: string): Promise<string | undefined> {
  try {
    return (await context.clientOf(server, token).call("auth.me")).user;
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return undefined;
    throw error;
  }
}

/** Ends with the server, and passes on the signals that are for it. */
async function stayWith(context: Context, started: StartedServer): Promise<void> {
  const child = started.process;
  const pass = (signal: NodeJS.Signals): void => {
    child.kill(signal);
  };
  // Ctrl-C reaches the server by the terminal; it drains and ends, and this process with it.
  const wait = (): void => undefined;
  process.on("SIGINT", wait).on("SIGTERM", pass);
  const code = await new Promise<number | null>((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve(child.exitCode);
    else child.once("exit", resolve);
  });
  process.off("SIGINT", wait).off("SIGTERM", pass);
  await context.localServer.forget();
  if (code !== 0) throw new SilentFailure();
}
