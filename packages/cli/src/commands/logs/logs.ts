import { watch } from "node:fs";
import { open } from "node:fs/promises";
import { asProblem, type Client } from "@raworc/client";
import { DEFAULT_SPACE, LOG_LINES_MAX } from "@raworc/contract";
import { type Command, createCommand, wholeNumber, withExamples } from "../../command.ts";
import type { Component } from "../../components.ts";
import { CONTAINERS } from "../../containers/container-plan.ts";
import type { Context } from "../../context.ts";
import { CommandFailure, UsageFailure } from "../../failure.ts";
import { formatLogLine, readTail } from "../../log-lines.ts";
import { textLines } from "../../text-lines.ts";

export interface LogsOptions {
  readonly follow?: boolean;
  readonly lines: number;
  readonly space: string;
}

export function logsCommand(context: Context): Command {
  const command = createCommand(context, "logs")
    .summary("logs of the server, a session, a build or an agent")
    .description("Shows a log. The server's is that of this machine; a build without an id is the newest of the space.")
    .argument("[of]", "server, operator, session, build or agent", "server")
    .argument("[name]", "id of the session or build, name of the agent")
    .option("-f, --follow", "go on with what comes")
    .option("-n, --lines <count>", "the last lines of a log", wholeNumber(1, 100_000), 100)
    .option("-s, --space <space>", "space of the build or agent", DEFAULT_SPACE)
    .action((of: string, name: string | undefined, options: LogsOptions) => runLogs(context, of, name, options));
  return withExamples(context, command, [
    "raworc logs server -f",
    "raworc logs build",
    "raworc logs build $ID -s team-a -f",
    "raworc logs session $ID",
  ]);
}

export async function runLogs(
  context: Context,
  of: string,
  given: string | undefined,
  options: LogsOptions,
): Promise<void> {
  const [kind = "", inName] = of.split("/", 2);
  const name = inName ?? given;
  if (kind === "server" || kind === "operator") {
    const state = await context.containers.running();
    if (state !== undefined) return showContainerLog(context, kind, options);
    return showServerLog(await logOf(context, kind), context, options);
  }
  if (!["session", "build", "agent"].includes(kind)) {
    throw new UsageFailure(`There is no log of ${JSON.stringify(of)}.`, ["use server, session, build or agent"]);
  }
  if (kind === "build") return showBuildLog(context, await context.client(), name, options);
  if (name === undefined) throw new UsageFailure(`Say which ${kind}.`, [`raworc get ${kind}s lists them`]);
  const client = await context.client();
  const lines = Math.min(options.lines, LOG_LINES_MAX);
  const query = new URLSearchParams({ lines: String(lines), follow: String(options.follow === true) });
  if (kind === "session") return showAnswer(context, client, `sessions/${encodeURIComponent(name)}/logs?${query}`);
  if (options.follow !== true) return showAgentLog(context, client, name, { ...options, lines });
  const { space } = options;
  return showAnswer(
    context,
    client,
    `spaces/${encodeURIComponent(space)}/agents/${encodeURIComponent(name)}/logs?${query}`,
  );
}

/** Each of the agent's streams goes to the same one of ours. */
async function showAgentLog(context: Context, client: Client, name: string, { lines, space }: LogsOptions) {
  const { stderr, stdout } = await client.call("agents.logs", { params: { space, name }, query: { lines } });
  context.streams.out.foreign(stdout);
  context.streams.err.foreign(stderr);
}

async function showContainerLog(context: Context, kind: Component, options: LogsOptions): Promise<void> {
  const { out } = context.streams;
  const words = ["--tail", String(options.lines), ...(options.follow === true ? ["--follow"] : [])];
  for await (const line of context.containers.engine.logLines(CONTAINERS[kind], words, "inherit")) {
    out.line(out.isTerminal ? formatLogLine(line, out) : line);
  }
}

/** The operator's is the server's, unless it is a process of its own. */
async function logOf({ localOperator, localServer }: Context, kind: "server" | "operator"): Promise<string> {
  const isOwn = kind === "operator" && (await localOperator.last()) !== undefined;
  return (isOwn ? localOperator : localServer).logPath;
}

async function showServerLog(logPath: string, context: Context, options: LogsOptions): Promise<void> {
  const { out } = context.streams;
  const show = (line: string): void => out.line(out.isTerminal ? formatLogLine(line, out) : line);
  const tail = await readTail(logPath, options.lines).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") {
      throw new CommandFailure(`There is no log at ${logPath}.`, [
        "the server writes it when it is started: raworc start",
      ]);
    }
    throw error;
  });
  for (const line of tail.lines) show(line);
  if (options.follow === true) await followFile(logPath, tail.end, show);
}

/** Shows lines as they are appended. The system says when the file has changed. */
async function followFile(path: string, from: number, show: (line: string) => void): Promise<void> {
  const file = await open(path, "r");
  let at = from;
  let rest = "";
  const readOn = async (): Promise<void> => {
    for (;;) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(65_536), 0, 65_536, at);
      if (bytesRead === 0) return;
      at += bytesRead;
      const lines = (rest + buffer.toString("utf8", 0, bytesRead)).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) show(line);
    }
  };
  try {
    let wake: (() => void) | undefined;
    let changed = true;
    const watcher = watch(path, () => {
      changed = true;
      wake?.();
    });
    try {
      for (;;) {
        if (!changed)
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        changed = false;
        await readOn();
      }
    } finally {
      watcher.close();
    }
  } finally {
    await file.close();
  }
}

async function showBuildLog(
  context: Context,
  client: Client,
  name: string | undefined,
  options: LogsOptions,
): Promise<void> {
  const { space } = options;
  const id = name ?? (await client.call("builds.latest", { params: { space } })).build_id;
  if (options.follow !== true) {
    await showAnswer(context, client, `spaces/${encodeURIComponent(space)}/build/${encodeURIComponent(id)}/logs`);
    return;
  }
  for await (const { line } of client.buildLog(space, id)) context.streams.out.foreign(`${line}\n`);
  const build = await client.call("builds.get", { params: { space, build_id: id } });
  if (build.status !== "completed") {
    const verdict = build.status === "failed" ? "has failed" : `is ${build.status}`;
    throw new CommandFailure(`The build ${verdict}.`, (build.error ?? "").trimEnd().split("\n"));
  }
}

/** Shows a text as it comes. Whether the server has such a log is its own word. */
async function showAnswer(context: Context, client: Client, path: string): Promise<void> {
  const response = await client.raw(path, { headers: { accept: "text/plain, application/json" } });
  if (!response.ok) {
    const problem = asProblem(await response.text());
    throw new CommandFailure(problem?.detail ?? `The server answered ${response.status}.`);
  }
  if (response.body === null) return;
  const { out } = context.streams;
  for await (const line of textLines(response.body)) {
    out.foreign(`${line}\n`);
    await out.drained();
  }
}
