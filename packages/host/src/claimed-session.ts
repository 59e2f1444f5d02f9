import { lstatSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { COMPUTER, type HostAgent, type HostClaim } from "@raworc/contract";
import { isDiskFull } from "./disk-full.ts";
import { logLine } from "./host-log.ts";
import { RequestError } from "./requests.ts";

/** Whose computer this is: nobody's until the claim. */
export class ClaimedSession {
  #claim: HostClaim | undefined;
  #version = 0;

  get id(): string | null {
    return this.#claim?.session_id ?? null;
  }

  /** Counts the claims, so what was started under an older one is known. */
  get version(): number {
    return this.#version;
  }

  get environmentSource(): { sessionId: string; space: string; environment: Record<string, string> } | undefined {
    if (this.#claim === undefined) return undefined;
    const { session_id: sessionId, space, environment } = this.#claim;
    return { sessionId, space, environment };
  }

  agent(name: string): HostAgent | undefined {
    return this.#claim?.agents.find((agent) => agent.name === name);
  }

  agentNames(): string[] {
    return this.#claim?.agents.map((agent) => agent.name) ?? [];
  }

  /** Throws RequestError when the computer is another session's. */
  claim(claim: HostClaim): void {
    const owner = this.#claim?.session_id;
    if (owner !== undefined && owner !== claim.session_id) {
      throw new RequestError(409, "conflict", `This computer is session ${owner}'s`);
    }
    try {
      linkAgents(claim.agents);
    } catch (error) {
      // Somebody must be able to come in and make space.
      if (!isDiskFull(error)) throw error;
      logLine("warn", "agents are not linked, the disk is full");
    }
    this.#claim = claim;
    this.#version += 1;
  }
}

/** `/session/agents/{name}` leads to each agent's folder. */
function linkAgents(agents: readonly HostAgent[]): void {
  for (const name of readdirSync(COMPUTER.agents)) {
    const path = `${COMPUTER.agents}/${name}`;
    if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) rmSync(path);
  }
  for (const { name, path } of agents) symlinkSync(path, `${COMPUTER.agents}/${name}`);
}
