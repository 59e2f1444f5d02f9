import { setTimeout as sleep } from "node:timers/promises";
import { COMPUTER } from "@raworc/contract";
import { BuildFailure } from "./build-failure.ts";
import { type GitFault, readGitFault } from "./git-fault.ts";
import type { SourceAccess } from "./source-access.ts";
import type { StepEnd, StepRunner } from "./step-runner.ts";

const ATTEMPTS = 3;
const FIRST_PAUSE_MS = 1000;
/** Git reads it as the user's own settings: only from there may a repository of another owner be trusted. */
const SETTINGS = `${COMPUTER.temporary}/raworc-gitconfig`;

export interface GitCall {
  readonly label: string;
  readonly arguments: readonly string[];
  readonly cwd: string;
  readonly quiet?: boolean;
  readonly seconds?: number;
}

/** Git inside a builder, without prompts, hooks, settings of the machine, or transports other than the source needs. */
export class Git {
  readonly #steps: StepRunner;
  readonly #source: SourceAccess;
  #prepared = false;

  constructor(steps: StepRunner, source: SourceAccess) {
    this.#steps = steps;
    this.#source = source;
  }

  /** Throws BuildFailure `source_not_found`; what may pass by itself is tried again a few times before. */
  async run(call: GitCall): Promise<StepEnd> {
    for (let attempt = 1; ; attempt += 1) {
      const end = await this.attempt(call);
      if (end.exitCode === 0) return end;
      const fault = readGitFault(end.tail, this.#source.name, { local: this.#source.local !== null });
      if (!fault.transient || attempt === ATTEMPTS) throw sourceFailure(fault, end);
      await this.#steps.log(`${fault.message} Trying again.`);
      await sleep(FIRST_PAUSE_MS * 2 ** (attempt - 1), undefined, { signal: this.#steps.signal });
    }
  }

  async attempt(call: GitCall): Promise<StepEnd> {
    await this.#prepare();
    const { label, cwd, quiet = false, seconds = 600 } = call;
    const command = ["git", ...call.arguments];
    return this.#steps.attempt({ label, command, cwd, quiet, seconds, environment: this.#environment() });
  }

  async #prepare(): Promise<void> {
    if (this.#prepared) return;
    const settings = [
      "[safe]",
      "directory = *",
      "[core]",
      "hooksPath = /dev/null",
      "askPass =",
      "[advice]",
      "detachedHead = false",
      "[http]",
      "lowSpeedLimit = 1000",
      "lowSpeedTime = 60",
      "",
    ].join("\n");
    const command = ["sh", "-c", 'cat > "$1"', "settings", SETTINGS];
    await this.#steps.run({ label: "prepare git", command, cwd: "/", stdin: settings, quiet: true });
    this.#prepared = true;
  }

  #environment(): Record<string, string> {
    return {
      GIT_CONFIG_GLOBAL: SETTINGS,
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_TERMINAL_PROMPT: "0",
      GIT_ALLOW_PROTOCOL: this.#source.local !== null ? "file:https:ssh" : "https:ssh",
      GIT_SSH_COMMAND: "ssh -oBatchMode=yes -oStrictHostKeyChecking=accept-new -oConnectTimeout=30",
      LC_ALL: "C",
    };
  }
}

function sourceFailure(fault: GitFault, end: StepEnd): BuildFailure {
  return new BuildFailure("source_not_found", fault.message, end.tail);
}
