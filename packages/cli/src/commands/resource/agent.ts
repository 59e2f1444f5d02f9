import { DEFAULT_SPACE } from "@raworc/contract";
import { type Command, createCommand } from "../../command.ts";
import type { Context } from "../../context.ts";
import { followBuild } from "../build/follow.ts";
import { nounCommand } from "./noun.ts";

interface AgentOptions {
  readonly space?: string;
  readonly wait?: boolean;
}

/** Agents have two verbs more: in and out of builds. */
export function agentCommand(context: Context): Command {
  const deploy = createCommand(context, "deploy")
    .description("Builds the agent now, also one that was stopped.")
    .argument("<name>")
    .option("-s, --space <space>", "space (default: default)")
    .option("-w, --wait", "show the build's log and wait for its end")
    .action((name: string, options: AgentOptions) => runDeploy(context, name, options));
  const stop = createCommand(context, "stop")
    .description("Keeps the agent out of builds until it is deployed again.")
    .argument("<name>")
    .option("-s, --space <space>", "space (default: default)")
    .action((name: string, options: AgentOptions) => runAgentStop(context, name, options));
  return nounCommand(context, "agent").addCommand(deploy).addCommand(stop);
}

export async function runDeploy(context: Context, name: string, options: AgentOptions): Promise<void> {
  const client = await context.client();
  const space = options.space ?? DEFAULT_SPACE;
  const build = await client.call("agents.deploy", { params: { space, name } });
  if (options.wait === true) await followBuild(context, client, build);
  else context.streams.out.line(`build/${build.build_id} started`);
}

export async function runAgentStop(context: Context, name: string, options: AgentOptions): Promise<void> {
  const client = await context.client();
  const agent = await client.call("agents.stop", { params: { space: options.space ?? DEFAULT_SPACE, name } });
  context.streams.out.line(`agent/${agent.name} ${agent.status}`);
}
