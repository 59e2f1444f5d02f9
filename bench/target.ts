import type { Client } from "@raworc/client";
import { deployAgents } from "../test/support/deploy.ts";
import { PROBE_AGENTS } from "../test/support/probe-agents.ts";
import { Repository } from "../test/support/repository.ts";
import { TestServer } from "../test/support/test-server.ts";

export type Runtime = "docker" | "sandbox";

/** A running server with two agents, whose session computers come from one runtime. */
export interface Target {
  readonly runtime: Runtime;
  readonly server: TestServer;
  readonly client: Client;
  close(): Promise<void>;
}

export async function openTarget(runtime: Runtime, environment: Record<string, string> = {}): Promise<Target> {
  const repository = new Repository(PROBE_AGENTS);
  const server = await TestServer.start({ runtime, environment: { RAWORC_LOG_LEVEL: "debug", ...environment } });
  const client = await server.client();
  await deployAgents(client, repository.path, { py: "python", js: "node" });
  const close = async () => {
    await server.destroy();
    repository.remove();
  };
  return { runtime, server, client, close };
}

export async function openSession(client: Client): Promise<string> {
  return (await client.call("sessions.create", { body: { wait: "ready" } })).id;
}
