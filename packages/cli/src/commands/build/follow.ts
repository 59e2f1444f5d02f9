import type { Client } from "@raworc/client";
import type { Build } from "@raworc/contract";
import type { Context } from "../../context.ts";
import { formatDuration } from "../../durations.ts";
import { CommandFailure } from "../../failure.ts";
import { formatTable } from "../../table.ts";

/** Shows a build's log until it has ended, then what became of each agent. Throws when it did not complete. */
export async function followBuild(context: Context, client: Client, started: Build): Promise<void> {
  const { err, out } = context.streams;
  let build = started;
  for (;;) {
    err.line(err.paint("dim", `Build ${build.build_id} of the space ${build.space}`));
    for await (const { line } of client.buildLog(build.space, build.build_id)) {
      out.foreign(`${line}\n`);
      await out.drained();
    }
    build = await client.call("builds.get", { params: { space: build.space, build_id: build.build_id } });
    const replacement = await replacementOf(client, build);
    if (replacement === undefined) break;
    err.line(err.paint("dim", `Replaced by the newer build ${replacement.build_id}`));
    build = replacement;
  }
  summarize(context, build);
  if (build.status !== "completed") {
    const [reason = "", ...tail] = (build.error ?? "").trimEnd().split("\n");
    const again = [`the whole log: raworc logs build ${build.build_id} -s ${build.space}`];
    const end = build.status === "cancelled" ? "was cancelled" : "failed";
    throw new CommandFailure(`The build ${end}${reason === "" ? "." : `: ${reason}`}`, [...tail, ...again]);
  }
}

/** A pending build gives way to a newer one, which it names; that one builds what was asked for. */
async function replacementOf(client: Client, build: Build): Promise<Build | undefined> {
  if (build.status !== "cancelled") return undefined;
  const latest = await client.call("builds.latest", { params: { space: build.space } });
  return latest.build_id !== build.build_id && build.error?.includes(latest.build_id) === true ? latest : undefined;
}

function summarize(context: Context, build: Build): void {
  const { err } = context.streams;
  if (build.agents.length > 0) {
    err.line();
    const rows = build.agents.map((agent) => {
      const good = agent.status === "completed";
      const status = good && agent.cached ? "unchanged" : agent.status;
      const paint = (text: string): string =>
        err.paint(good ? "green" : agent.status === "failed" ? "red" : "dim", text);
      return [
        { text: agent.name },
        { text: agent.runtime ?? "-" },
        { text: agent.commit?.slice(0, 8) ?? "-" },
        { text: status, paint },
        { text: agent.seconds === null ? "-" : formatDuration(agent.seconds * 1000) },
      ];
    });
    const header = ["AGENT", "RUNTIME", "COMMIT", "STATUS", "TIME"];
    for (const line of formatTable(rows, { header, paintHeader: (text) => err.paint("bold", text) })) err.line(line);
  }
  if (build.status === "completed") {
    const from = build.started_at ?? build.created_at;
    const took =
      build.completed_at === null ? "" : ` in ${formatDuration(Date.parse(build.completed_at) - Date.parse(from))}`;
    err.line(`${err.paint("green", "✓")} Build ${build.build_id} is completed${took}`);
  }
}
