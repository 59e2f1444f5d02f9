import { ApiError, ConnectionError } from "@raworc/client";
import { type Command, createCommand } from "../../command.ts";
import type { Context } from "../../context.ts";

export function logoutCommand(context: Context): Command {
  return createCommand(context, "logout")
    .description("Revokes the saved token on its server and forgets it.")
    .action(() => runLogout(context));
}

export async function runLogout(context: Context): Promise<void> {
  const { err, out } = context.streams;
  const server = await context.server();
  const login = await context.logins.find(server);
  if (login === undefined) {
    out.line(`Not logged in to ${server}.`);
    return;
  }
  try {
    await context.clientOf(server, login.token).call("auth.logout");
  } catch (error) {
    const isOver = error instanceof ApiError && error.status === 401;
    if (!isOver && !(error instanceof ConnectionError)) throw error;
    if (!isOver) err.line(`${err.paint("yellow", "note:")} ${error.message} The token could not be revoked there.`);
  }
  await context.logins.remove(server);
  out.line(`${out.paint("green", "✓")} Logged out of ${server}`);
}
