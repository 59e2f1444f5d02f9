import { ApiError } from "@raworc/client";
import { type Command, createCommand, withExamples } from "../../command.ts";
import type { Context } from "../../context.ts";
import { formatSpan } from "../../durations.ts";
import { CommandFailure, EXIT } from "../../failure.ts";
import { formatFields } from "../../table.ts";
import { loginCommand } from "./login.ts";
import { logoutCommand } from "./logout.ts";

export function authCommand(context: Context): Command {
  const command = createCommand(context, "auth")
    .summary("who is logged in, login, logout")
    .description("Shows which server commands go to and who is logged in there. Exit code 4 when nobody is.")
    .action(() => runAuthStatus(context))
    .addCommand(loginCommand(context))
    .addCommand(logoutCommand(context));
  return withExamples(context, command, [
    "raworc auth",
    "raworc auth login --user admin",
    "raworc auth login --server https://raworc.example --token $TOKEN",
  ]);
}

export async function runAuthStatus(context: Context): Promise<void> {
  const { out } = context.streams;
  const { client, login, server } = await context.connect();
  const source = context.config.token === undefined ? context.logins.path : "RAWORC_TOKEN";
  if (login === undefined) {
    throw new CommandFailure(`Not logged in to ${server}.`, ["log in with: raworc auth login"], EXIT.notLoggedIn);
  }
  try {
    const me = await client.call("auth.me");
    const ends = login.expires_at === null ? [] : [["Expires", expiry(context, login.expires_at)] as const];
    const fields = [
      ["Server", server],
      ["User", out.paint("bold", me.user)],
      ["Roles", me.roles.join(", ") || "none"],
      ...(me.space === null ? [] : [["Space", me.space] as const]),
      ["Token", `from ${source}`],
      ...ends,
    ] as const;
    for (const line of formatFields(fields)) out.line(line);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
    const message = `The login for ${server} is not good any more.`;
    throw new CommandFailure(message, [error.message, "log in with: raworc auth login"], EXIT.notLoggedIn);
  }
}

function expiry(context: Context, expiresAt: string): string {
  const left = Date.parse(expiresAt) - context.now();
  return left > 0 ? `in ${formatSpan(left)}` : "expired";
}
