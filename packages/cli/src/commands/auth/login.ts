import { ApiError } from "@raworc/client";
import { type Command, createCommand, withExamples } from "../../command.ts";
import { type Context, normalizeServer } from "../../context.ts";
import { CommandFailure, UsageFailure } from "../../failure.ts";
import type { Login } from "../../logins.ts";
import { askFor } from "../../question.ts";
import { readAll } from "../../text-lines.ts";

export interface LoginOptions {
  readonly user?: string;
  readonly pass?: string;
  readonly token?: string;
  readonly server?: string;
}

export function loginCommand(context: Context): Command {
  const command = createCommand(context, "login")
    .description("Logs in with user and password or with a token, and saves the token for that server.")
    .option("-u, --user <name>", "account")
    .option("-p, --pass <password>", "its password; - reads it from stdin")
    .option("--token <token>", "a token instead; - reads it from stdin. It is checked before it is saved")
    .option("--server <url>", "server to log in to (default: the current one)")
    .action((options: LoginOptions) => runLogin(context, options));
  return withExamples(context, command, [
    "raworc auth login",
    "raworc auth login --user admin --pass - < password.txt",
    "raworc auth login --token $TOKEN --server https://raworc.example",
  ]);
}

export async function runLogin(context: Context, options: LoginOptions): Promise<void> {
  if (options.token !== undefined && (options.user !== undefined || options.pass !== undefined)) {
    throw new UsageFailure("A token says who you are already; leave out --user and --pass.");
  }
  const server = options.server === undefined ? await context.server() : normalizeServer(options.server);
  const login =
    options.token === undefined
      ? await byPassword(context, server, options)
      : await byToken(context, server, options.token);
  await context.logins.save(server, login);
  const { err, out } = context.streams;
  out.line(`${out.paint("green", "✓")} Logged in to ${server} as ${login.user}`);
  for (const [name, value] of [
    ["RAWORC_TOKEN", context.config.token],
    ["RAWORC_SERVER", context.config.server],
  ] as const) {
    const isOther =
      name === "RAWORC_TOKEN" ? value !== undefined : value !== undefined && normalizeServer(value) !== server;
    if (isOther) err.line(`${err.paint("yellow", "note:")} ${name} is set and goes before this login`);
  }
}

async function byPassword(context: Context, server: string, options: LoginOptions): Promise<Login> {
  const user = options.user ?? (await askFor(context, "User", { option: "--user", initial: "admin" }));
  const pass =
    options.pass === "-"
      ? await firstLine(context, "--pass")
      : (options.pass ?? (await askFor(context, `Password of ${user}`, { option: "--pass", hidden: true })));
  try {
    return await context.clientOf(server).call("auth.login", { body: { user, pass } });
  } catch (error) {
    if (error instanceof ApiError && error.status === 401)
      throw new CommandFailure(`Login to ${server} failed: ${error.message}`);
    throw error;
  }
}

async function byToken(context: Context, server: string, given: string): Promise<Login> {
  const token = given === "-" ? await firstLine(context, "--token") : given;
  if (!/^[\x21-\x7e]+$/.test(token)) throw new UsageFailure("The token is empty or has characters that no token has.");
  try {
    const { user } = await context.clientOf(server, token).call("auth.me");
    return { user, token, expires_at: expiryOf(token) };
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) {
      throw new CommandFailure(`The token is not good at ${server}: ${error.message}`, ["nothing was saved"]);
    }
    throw error;
  }
}

async function firstLine(context: Context, option: string): Promise<string> {
  const [line = ""] = (await readAll(context.streams.stdin)).split(/\r?\n/);
  if (line === "") throw new UsageFailure(`Nothing came from stdin for ${option} -.`);
  return line;
}

/** When a JWT ends by its own word; null for other tokens. Only shown: the server decides. */
function expiryOf(token: string): string | null {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8"));
    const hasEnd = typeof claims === "object" && claims !== null && "exp" in claims && typeof claims.exp === "number";
    return hasEnd ? new Date((claims.exp as number) * 1000).toISOString() : null;
  } catch {
    return null;
  }
}
