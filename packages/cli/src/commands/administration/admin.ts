import { type Command, createCommand, withExamples } from "../../command.ts";
import type { Context } from "../../context.ts";
import { runAdministration } from "./administration.ts";

export function adminCommand(context: Context): Command {
  const admin = createCommand(context, "admin").summary("care for this machine's installation");
  const rotate = createCommand(context, "rotate-key")
    .description(
      "Seals all secrets of this machine's installation with a new encryption key. The server may run meanwhile, or be " +
        "stopped. Where the key comes from RAWORC_ENCRYPTION_KEY, the new one is taken from RAWORC_NEW_ENCRYPTION_KEY. " +
        "Cut short, it is run again.",
    )
    .action(() => runAdministration(context, "rotate-key"));
  withExamples(context, rotate, [
    "raworc admin rotate-key",
    "RAWORC_NEW_ENCRYPTION_KEY=$(openssl rand -base64 32) raworc admin rotate-key",
  ]);
  return admin.addCommand(rotate);
}
