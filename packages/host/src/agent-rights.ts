import type { Config } from "./config.ts";

/**
 * Does work on files with the agent's rights: the host's own would open what is closed to the agent, and give it files
 * that it can't change. Where agents have the host's uid, nothing is changed.
 */
export class AgentRights {
  readonly #agent: number;
  readonly #own = process.geteuid?.() ?? 0;
  readonly #changes: boolean;
  #groupless = false;

  constructor({ agentUid, spawnPrefix }: Pick<Config, "agentUid" | "spawnPrefix">) {
    this.#agent = agentUid;
    this.#changes = spawnPrefix.length === 0 && agentUid !== this.#own;
  }

  /**
   * `work` is synchronous: the ids are those of the whole process, so nothing else may run meanwhile. What is done later
   * with a descriptor that it opened needs no rights any more.
   */
  act<T>(work: () => T): T {
    if (!this.#changes) return work();
    this.#dropGroups();
    process.setegid?.(this.#agent);
    process.seteuid?.(this.#agent);
    try {
      return work();
    } finally {
      process.seteuid?.(this.#own);
      process.setegid?.(this.#own);
    }
  }

  /** What the groups of uid 0 may read, an agent may not. */
  #dropGroups(): void {
    if (this.#groupless) return;
    this.#groupless = true;
    process.setgroups?.([]);
  }
}
