import { type Command, createCommand, withExamples } from "../../command.ts";
import type { Context } from "../../context.ts";
import { UsageFailure } from "../../failure.ts";
import { download } from "./download.ts";
import { parseRemote } from "./remote-path.ts";
import { upload } from "./upload.ts";

export function copyCommand(context: Context): Command {
  const command = createCommand(context, "cp")
    .summary("copy files to and from a session's computer")
    .description(
      "Copies a file, or a folder with all that is in it. A path in a session is written ID:path, relative to " +
        "/session; - is stdin or stdout. Into a folder that is there, or a path that ends in a slash, the copy goes " +
        "under its own name.",
    )
    .argument("<source>")
    .argument("<target>")
    .action((source: string, target: string) => runCopy(context, source, target));
  return withExamples(context, command, [
    "raworc cp data.csv $ID:workspace/",
    "raworc cp $ID:workspace/report.pdf .",
    "raworc cp src $ID:workspace/src",
    "raworc cp $ID:logs/host.log - | less",
  ]);
}

export async function runCopy(context: Context, source: string, target: string): Promise<void> {
  const from = parseRemote(source);
  const to = parseRemote(target);
  let count: number;
  if (from === undefined && to !== undefined) count = await upload(context, await context.client(), source, to);
  else if (from !== undefined && to === undefined)
    count = await download(context, await context.client(), from, target);
  else {
    const message = from === undefined ? "Neither path is in a session." : "Both paths are in a session.";
    throw new UsageFailure(message, ["write one of them as ID:path"]);
  }
  if (count > 1) context.streams.err.line(`${count} files copied.`);
}
