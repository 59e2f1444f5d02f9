import { DEFAULT_SPACE } from "@raworc/contract";
import { type Command, createCommand, withExamples } from "../../command.ts";
import type { Context } from "../../context.ts";
import { followBuild } from "./follow.ts";

export interface BuildOptions {
  readonly space: string;
  readonly wait?: boolean;
  readonly force?: boolean;
}

export function buildCommand(context: Context): Command {
  const command = createCommand(context, "build")
    .summary("build all agents of a space")
    .description("Starts a build of all agents of a space. With --wait its log is shown; exit code 1 when it fails.")
    .option("-s, --space <space>", "space", DEFAULT_SPACE)
    .option("-w, --wait", "show the log and wait for the end")
    .option("--force", "build also what has not changed")
    .action((options: BuildOptions) => runBuild(context, options));
  return withExamples(context, command, ["raworc build --wait", "raworc build -s team-a --force"]);
}

export async function runBuild(context: Context, options: BuildOptions): Promise<void> {
  const { err, out } = context.streams;
  const client = await context.client();
  const body = { force_rebuild: options.force === true };
  const build = await client.call("builds.create", { params: { space: options.space }, body });
  if (options.wait === true) {
    await followBuild(context, client, build);
    return;
  }
  out.line(`build/${build.build_id} started`);
  err.line(err.paint("dim", `See: raworc logs build ${build.build_id} -s ${build.space} -f`));
}
