import { type Command, createCommand, withExamples } from "../../command.ts";
import type { Context } from "../../context.ts";
import { runAdministration } from "./administration.ts";

export function auditCommand(context: Context): Command {
  const audit = createCommand(context, "audit").summary("check what was recorded of who did what");
  const verify = createCommand(context, "verify")
    .description(
      "Checks the whole chain of audit events of this machine's installation: that none was changed, removed, put in or " +
        "put elsewhere. Says which one is wrong; exit code 1 when one is. The server may run meanwhile, or be stopped.",
    )
    .action(() => runAdministration(context, "audit-verify"));
  withExamples(context, verify, ["raworc audit verify", "raworc get audit-events   # reads them"]);
  return audit.addCommand(verify);
}
