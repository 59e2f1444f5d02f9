import { stat } from "node:fs/promises";
import { ApiError } from "@raworc/client";
import { Option } from "commander";
import { type Command, createCommand, wholeNumber, withExamples } from "../../command.ts";
import { COMPONENTS, type Component, componentsOf, readComponents, withComponents } from "../../components.ts";
import { CONTAINERS } from "../../containers/container-plan.ts";
import { type Context, isLocal, normalizeServer } from "../../context.ts";
import { CommandFailure, SilentFailure, UsageFailure } from "../../failure.ts";
import { type Overrides, type ProcessState, processStartTime } from "../../local-server.ts";
import { formatLogLine, readTail } from "../../log-lines.ts";
import { writeReport } from "../../report.ts";
import { type StartedServer, StartFailure, startServer } from "../../server-process.ts";
import { Spinner } from "../../spinner.ts";
import { stopContainers, stopOperator, stopServer } from "./stop.ts";

export interface StartOptions {
  readonly foreground?: boolean;
  readonly restart?: boolean;
  readonly port?: number;
  readonly host?: string;
  readonly runtime?: string;
  readonly database?: string;
  readonly docker?: boolean;
}

const LOG_TAIL_LINES = 15;

export function startCommand(context: Context): Command {
  const command = createCommand(context, "start")
    .summary("start the control plane in the background")
    .description(
      "Starts the control plane in the background, waits until it is healthy and logs the local user in. The first start " +
        "makes the data directory and the keys.",
    )
    .argument("[components...]", "server, operator, or both in one process (default: both)")
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
    .option("--docker", "server, operator and MySQL as containers of the Docker engine on this machine")
    .action((components: readonly string[], options: StartOptions) => runStart(context, components, options));
  return withExamples(context, command, [
    "raworc start",
    "raworc start --runtime sandbox --port 9100",
    "raworc start --foreground",
    "raworc start server && raworc start operator",
    "raworc start --docker",
  ]);
}

export async function runStart(context: Context, names: readonly string[], options: StartOptions): Promise<void> {
  if (options.docker === true) return startContainers(context, names, options);
  if ((await context.containers.running()) !== undefined) {
    throw new CommandFailure("Raworc runs as containers of this home.", [
      "stop them first: raworc stop",
      "or start them again: raworc start --docker --restart",
    ]);
  }
  const { environment } = context.config;
  const named = readComponents(names);
  const asked = names.length > 0 ? named : componentsOf(environment);
  const running = await runningProcesses(context);
  const touched = running.filter(({ holds }) => options.restart === true && holds.some((name) => asked.includes(name)));
  for (const { stop } of touched) await stop();
  const left = running.filter((process) => !touched.includes(process));
  const missing = asked.filter((name) => !left.some(({ holds }) => holds.includes(name)));
  if (missing.length === 0) return sayThatItRuns(context, asked, options);
  // One that joins others takes their database and runtime, unless it is told otherwise.
  const shared = left[0]?.overrides ?? {};
  const overrides = withComponents({ ...shared, ...overridesOf(options) }, missing);
  await launch(context, overrides, options.foreground === true);
}

interface RunningProcess {
  readonly holds: readonly Component[];
  readonly overrides: Overrides;
  readonly stop: () => Promise<void>;
}

async function runningProcesses(context: Context): Promise<RunningProcess[]> {
  const server = await context.localServer.running();
  const operator = await context.localOperator.running();
  const all: RunningProcess[] = [];
  if (server !== undefined) {
    const { overrides } = server;
    all.push({ holds: componentsOf(overrides), overrides, stop: () => stopServer(context, server) });
  }
  if (operator !== undefined) {
    const { overrides } = operator;
    all.push({ holds: ["operator"], overrides, stop: () => stopOperator(context, operator) });
  }
  return all;
}

async function sayThatItRuns(context: Context, asked: readonly Component[], options: StartOptions): Promise<void> {
  const { out } = context.streams;
  const operator = await context.localOperator.running();
  const server = await context.localServer.running();
  if (server !== undefined && (asked.includes("server") || operator === undefined)) {
    out.line(`Raworc is already running at ${server.url} (pid ${server.pid}).`);
  }
  if (operator !== undefined && asked.includes("operator")) {
    out.line(`The operator is already running (pid ${operator.pid}).`);
  }
  if (Object.keys(overridesOf(options)).length > 0) out.line("To apply other options: raworc start --restart …");
  if (server !== undefined) await logIn(context, normalizeServer(server.url));
}

async function startContainers(context: Context, names: readonly string[], options: StartOptions): Promise<void> {
  const unfit = [
    names.length > 0 ? "names of components" : undefined,
    options.foreground === true ? "--foreground" : undefined,
    options.database === undefined ? undefined : "--database",
    options.runtime === undefined || options.runtime === "docker" ? undefined : `--runtime ${options.runtime}`,
  ].filter((name) => name !== undefined);
  if (unfit.length > 0) {
    const hint = "with --docker, server, operator and database are containers, and so are session computers";
    throw new UsageFailure(`--docker goes without ${unfit.join(", ")}.`, [hint]);
  }
  if ((await runningProcesses(context)).length > 0) {
    throw new CommandFailure("Raworc runs already, without containers.", ["stop it first: raworc stop"]);
  }
  const { out } = context.streams;
  const running = await context.containers.running();
  const isWhole = running !== undefined && (await context.containers.isWhole(running));
  if (isWhole && running.url !== null && options.restart !== true) {
    out.line(`Raworc is already running at ${running.url} (in containers).`);
    if (Object.keys(overridesOf(options)).length > 0)
      out.line("To apply other options: raworc start --docker --restart …");
    return logIn(context, normalizeServer(running.url));
  }
  if (running !== undefined) await stopContainers(context);
  await launchContainers(context, overridesOf(options));
}

/** Starts the containers with these variables over the environment's, and logs the local user in. */
export async function launchContainers(context: Context, overrides: Overrides): Promise<void> {
  const { out, err } = context.streams;
  const before = context.now();
  const spinner = new Spinner(err, context.config);
  spinner.start("Starting Raworc...");
  const state = await context.containers.start(overrides, (text) => spinner.start(text)).finally(() => spinner.stop());
  const seconds = ((context.now() - before) / 1000).toFixed(1);
  const url = state.url ?? "";
  const names = Object.values(CONTAINERS).join(", ");
  out.line(
    `${out.paint("green", "✓")} Raworc runs at ${out.paint("bold", url)} (in containers, started in ${seconds} s)`,
  );
  out.line(`  Containers: ${names}`);
  out.line(`  Runtime: ${state.runtime}, ${state.reason}`);
  await logIn(context, normalizeServer(url));
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

/** Starts a process with these variables over the environment's, and logs the local user in where it answers calls. */
export async function launch(context: Context, overrides: Overrides, foreground: boolean): Promise<void> {
  const { out } = context.streams;
  const before = context.now();
  const components = componentsOf({ ...context.config.environment, ...overrides });
  const holder = components.includes("server") ? context.localServer : context.localOperator;
  const started = await startWatched(context, overrides, holder.logPath, foreground);
  const { url } = started;
  const state = await record(context, started, overrides);
  // What it was as a process of its own, it is no more.
  if (url !== null && components.includes("operator")) await context.localOperator.forget();
  const times = `(pid ${state.pid}, started in ${((context.now() - before) / 1000).toFixed(1)} s)`;
  const runs = url === null ? "The operator runs" : `Raworc runs at ${out.paint("bold", url)}`;
  out.line(`${out.paint("green", "✓")} ${runs} ${times}`);
  out.line(`  Runtime: ${state.runtime}${state.reason === "" ? "" : `, ${state.reason}`}`);
  if (url !== null) await logIn(context, normalizeServer(url));
  await noteWhatIsMissing(context, components);
  if (foreground) await stayWith(context, started);
}

async function noteWhatIsMissing(context: Context, started: readonly Component[]): Promise<void> {
  const { err } = context.streams;
  const held = (await runningProcesses(context)).flatMap(({ holds }) => holds);
  for (const name of COMPONENTS) {
    if (started.includes(name) || held.includes(name)) continue;
    const lack =
      name === "server" ? "no server of this home answers calls" : "no operator of this home drives sessions";
    err.line(`${err.paint("yellow", "note:")} ${lack}; start one with: raworc start ${name}`);
  }
}

async function startWatched(
  context: Context,
  overrides: Overrides,
  path: string,
  foreground: boolean,
): Promise<StartedServer> {
  const { config, streams } = context;
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
    if (!foreground && !error.isExplained) await showLogTail(context, path, logFrom);
    throw new SilentFailure();
  } finally {
    spinner.stop();
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
}

async function showLogTail(context: Context, logPath: string, from: number): Promise<void> {
  const { err } = context.streams;
  const tail = await readTail(logPath, LOG_TAIL_LINES, from).catch(() => undefined);
  if (tail === undefined || tail.lines.length === 0) return;
  err.line();
  err.line(err.paint("dim", `The end of ${logPath}:`));
  for (const line of tail.lines) err.line(`  ${formatLogLine(line, err)}`);
}

async function record(context: Context, started: StartedServer, overrides: Overrides): Promise<ProcessState> {
  const { localOperator, localServer } = context;
  const { reason, runtime, url } = started;
  const pid = started.process.pid ?? 0;
  const startTime = await processStartTime(pid);
  if (startTime === undefined) {
    const of = url === null ? "operator" : "server";
    throw new CommandFailure(`The ${of} ended as soon as it was ready.`, [`see: raworc logs ${of}`]);
  }
  const state: ProcessState = {
    pid,
    start_time: startTime,
    started_at: new Date(context.now()).toISOString(),
    runtime,
    reason,
    // A port that the system chose is kept by restarts, so that the address stays.
    overrides:
      url !== null && overrides["RAWORC_PORT"] === "0" ? { ...overrides, RAWORC_PORT: new URL(url).port } : overrides,
  };
  if (url === null) await localOperator.save(state);
  else await localServer.save({ ...state, url });
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
  await (started.url === null ? context.localOperator : context.localServer).forget();
  if (code !== 0) throw new SilentFailure();
}
