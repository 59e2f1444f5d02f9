import type { HostAgent } from "@raworc/contract";
import { type AgentOutcome, type AgentTask, failed } from "./agent-outcome.ts";
import type { AgentProcesses } from "./agent-process.ts";
import { runBinary } from "./binary-agent.ts";
import type { ClaimedSession } from "./claimed-session.ts";
import type { Config } from "./config.ts";
import { agentEnvironment } from "./environment.ts";
import type { MessageLog } from "./message-log.ts";
import { Worker } from "./worker.ts";

export interface AgentsOptions {
  readonly config: Config;
  readonly proxied: boolean;
  readonly session: ClaimedSession;
  readonly processes: AgentProcesses;
}

interface Kept {
  readonly worker: Worker;
  /** What it was started with; another one needs another worker. */
  readonly foundation: string;
  /** The claim under which that was last compared. */
  claim: number;
}

/** The agents of the session's build, and the workers of those that were used. */
export class Agents {
  readonly #options: AgentsOptions;
  readonly #workers = new Map<string, Kept>();
  readonly #busy = new Set<string>();

  constructor(options: AgentsOptions) {
    this.#options = options;
  }

  /** Hands a message to an agent. One at a time for each agent; the caller sees to it. */
  async handle(name: string, log: MessageLog, task: AgentTask): Promise<AgentOutcome> {
    const { session, processes } = this.#options;
    const agent = session.agent(name);
    if (agent === undefined) {
      log.close();
      const there = session.agentNames().join(", ") || "none";
      return failed("agent_start_failed", `This session has no agent ${name}; its build has: ${there}.`);
    }
    if (agent.manifest.kind === "binary") {
      try {
        return await runBinary({ processes, agent, environment: this.#environment(agent), log }, task);
      } finally {
        log.close();
      }
    }
    this.#busy.add(name);
    try {
      const worker = this.#kept(agent, log) ?? (await this.#start(agent, log));
      const outcome = await worker.handle(task);
      // What still prints goes on into this message's files, but for a worker that is gone.
      if (worker.ended) await this.#discard(name);
      return outcome;
    } finally {
      this.#busy.delete(name);
    }
  }

  /** After a claim: workers of another environment or build end now, or after their message. */
  async replaceOutdated(): Promise<void> {
    for (const name of [...this.#workers.keys()]) {
      const agent = this.#options.session.agent(name);
      const kept = this.#workers.get(name);
      if (kept === undefined || this.#busy.has(name)) continue;
      if (agent === undefined || !this.#isCurrent(kept, agent)) await this.#discard(name);
    }
  }

  #kept(agent: HostAgent, log: MessageLog): Worker | undefined {
    const kept = this.#workers.get(agent.name);
    if (kept === undefined || kept.worker.ended || !this.#isCurrent(kept, agent)) return undefined;
    kept.worker.switchLog(log);
    return kept.worker;
  }

  async #start(agent: HostAgent, log: MessageLog): Promise<Worker> {
    const { processes, session } = this.#options;
    await this.#discard(agent.name);
    const environment = this.#environment(agent);
    const worker = await Worker.start({ processes, agent, sessionId: session.id ?? "", environment, log });
    this.#workers.set(agent.name, { worker, foundation: foundation(agent, environment), claim: session.version });
    return worker;
  }

  #isCurrent(kept: Kept, agent: HostAgent): boolean {
    const { version } = this.#options.session;
    if (kept.claim === version) return true;
    if (kept.foundation !== foundation(agent, this.#environment(agent))) return false;
    kept.claim = version;
    return true;
  }

  async #discard(name: string): Promise<void> {
    const kept = this.#workers.get(name);
    if (kept === undefined) return;
    this.#workers.delete(name);
    await kept.worker.kill();
    kept.worker.closeLog();
  }

  #environment(agent: HostAgent): Record<string, string> {
    const { config, proxied, session } = this.#options;
    return agentEnvironment({ config, proxied, claimed: session.environmentSource }, agent);
  }
}

function foundation(agent: HostAgent, environment: Readonly<Record<string, string>>): string {
  return JSON.stringify([agent, environment]);
}
