import { ApiError, type Client, ConnectionError } from "@raworc/client";
import { Health } from "@raworc/contract";
import { type Command, createCommand, withExamples } from "../../command.ts";
import { type Context, normalizeServer } from "../../context.ts";
import { formatSpan } from "../../durations.ts";
import { SilentFailure } from "../../failure.ts";
import type { ServerState } from "../../local-server.ts";
import { formatOption, type OutputFormat, writeValue } from "../../output.ts";
import { formatFields } from "../../table.ts";

export interface StatusOptions {
  readonly output?: OutputFormat;
}

interface Status {
  readonly server: string;
  readonly running: boolean;
  readonly pid: number | null;
  /** Of the operator, where it is a process of its own. */
  readonly operator_pid: number | null;
  /** Whether it runs as containers of this home. */
  readonly in_containers: boolean;
  readonly started_at: string | null;
  readonly version: string | null;
  readonly runtime: string | null;
  readonly runtime_reason: string | null;
  readonly health: Health | null;
  readonly user: string | null;
  readonly sessions: Readonly<Record<string, number>> | null;
}

export function statusCommand(context: Context): Command {
  const command = createCommand(context, "status")
    .summary("what runs, where, and how it is")
    .description(
      "Shows the server, its health, who is logged in and how many sessions there are. Exit code 1 when it is not well.",
    )
    .addOption(formatOption(["table", "json", "yaml"]))
    .action((options: StatusOptions) => runStatus(context, options));
  return withExamples(context, command, ["raworc status", "raworc status -o json"]);
}

export async function runStatus(context: Context, options: StatusOptions): Promise<void> {
  const { out } = context.streams;
  const status = await readStatus(context);
  if (options.output === "json" || options.output === "yaml") await writeValue(out, status, options.output);
  else for (const line of formatFields(describe(context, status))) out.line(line);
  if (status.health?.status !== "ok") throw new SilentFailure();
}

async function readStatus(context: Context): Promise<Status> {
  const { client, login, server } = await context.connect();
  const local = await context.localServer.running();
  const containers = await context.containers.running();
  const isInContainers = typeof containers?.url === "string" && normalizeServer(containers.url) === server;
  const own: ServerState | undefined = local !== undefined && normalizeServer(local.url) === server ? local : undefined;
  const health = await readHealth(client);
  const version = health === undefined ? undefined : await client.call("version.get");
  const user = health === undefined || login === undefined ? undefined : await readUser(client);
  return {
    server,
    running: health !== undefined,
    pid: own?.pid ?? null,
    operator_pid: own === undefined ? null : ((await context.localOperator.running())?.pid ?? null),
    in_containers: isInContainers,
    started_at: own?.started_at ?? (isInContainers ? containers.started_at : null),
    version: version?.version ?? null,
    runtime: own?.runtime ?? (isInContainers ? containers.runtime : null),
    runtime_reason: own?.reason ?? (isInContainers ? containers.reason : null),
    health: health ?? null,
    user: user ?? null,
    sessions: user === undefined ? null : ((await countSessions(client)) ?? null),
  };
}

/** A server that is not well answers with 503 and its health all the same. */
async function readHealth(client: Client): Promise<Health | undefined> {
  try {
    const response = await client.raw("health");
    return Health.parse(await response.json());
  } catch (error) {
    if (error instanceof ConnectionError) return undefined;
    throw error;
  }
}

async function readUser(client: Client): Promise<string | undefined> {
  return client.call("auth.me").then(
    ({ user }) => user,
    () => undefined,
  );
}

/** How many there are of each state, as far as they are visible; undefined for who may see none. */
async function countSessions(client: Client): Promise<Record<string, number> | undefined> {
  const counts: Record<string, number> = {};
  try {
    for await (const { state } of client.items("sessions.list", { query: { limit: 1000 } })) {
      counts[state] = (counts[state] ?? 0) + 1;
    }
    return counts;
  } catch (error) {
    if (error instanceof ApiError && error.status === 403) return undefined;
    throw error;
  }
}

function describe(context: Context, status: Status): [string, string][] {
  const { out } = context.streams;
  const { health, sessions } = status;
  if (health === null) {
    return [
      ["Server", `${out.paint("red", "not running")}: nothing answers at ${status.server}`],
      [
        "",
        status.pid === null
          ? "start it with: raworc start"
          : `its process ${status.pid} is there; see: raworc logs server`,
      ],
    ];
  }
  const since = status.started_at === null ? "" : `, up ${formatSpan(context.now() - Date.parse(status.started_at))}`;
  const holder = status.in_containers ? "in containers" : status.pid === null ? undefined : `pid ${status.pid}`;
  const process = holder === undefined ? "" : ` (${holder}${since})`;
  const checks = Object.entries(health.checks).map(([name, state]) =>
    state === "ok" ? `${name} ok` : out.paint("red", `${name} ${state}`),
  );
  const total = Object.values(sessions ?? {}).reduce((sum, count) => sum + count, 0);
  const states = Object.entries(sessions ?? {}).map(([state, count]) => `${count} ${state}`);
  return [
    ["Server", `${out.paint("green", "running")} at ${status.server}${process}`],
    ...(status.operator_pid === null
      ? []
      : [["Operator", `a process of its own (pid ${status.operator_pid})`] as [string, string]]),
    ["Version", status.version ?? ""],
    ...(status.runtime === null
      ? []
      : [
          ["Runtime", `${status.runtime}${status.runtime_reason ? `, ${status.runtime_reason}` : ""}`] as [
            string,
            string,
          ],
        ]),
    [
      "Health",
      `${health.status === "ok" ? out.paint("green", "ok") : out.paint("red", "down")} (${checks.join(", ")})`,
    ],
    ["User", status.user ?? "not logged in; log in with: raworc auth login"],
    ...(sessions === null
      ? []
      : [["Sessions", total === 0 ? "none" : `${total} (${states.join(", ")})`] as [string, string]]),
  ];
}
