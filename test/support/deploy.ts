import type { Build } from "@raworc/contract";
import type { Client } from "./test-server.ts";

/** Registers agents from folders of one repository in the space `default` and waits for their build. Throws when it fails. */
export async function deployAgents(
  client: Client,
  repository: string,
  folders: Readonly<Record<string, string | null>>,
  space = "default",
): Promise<Build> {
  let buildId: string | undefined;
  for (const [name, folder] of Object.entries(folders)) {
    const body = { name, source_repo: repository, source_path: folder };
    buildId = (await client.call("agents.create", { params: { space }, body })).build_id;
  }
  if (buildId === undefined) throw new Error("No build was started");
  const build = await buildEnd(client, buildId, space);
  if (build.status !== "completed") throw new Error(`The build ended ${build.status}: ${build.error}`);
  return build;
}

/** Follows a build's log to its end, and gives the build. */
export async function buildEnd(client: Client, buildId: string, space = "default"): Promise<Build> {
  for await (const _ of client.buildLog(space, buildId));
  return client.call("builds.get", { params: { space, build_id: buildId } });
}
