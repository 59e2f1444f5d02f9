import { existsSync } from "node:fs";
import { COMPUTER, type HostAgent } from "@raworc/contract";
import type { Command } from "./agent-process.ts";

const ADAPTERS = `${import.meta.dirname}/adapters`;
/** Node.js can't move its own descriptors, so the shell puts them where worker.ts of the contract says. */
const NODE_DESCRIPTORS = 'exec 4<&0 5>&1 0</dev/null 1>&3 3>&-; exec "$@"';

/** How the worker of an agent is started. Descriptors as in worker.ts of the contract. */
export function workerCommand(agent: HostAgent, environment: Readonly<Record<string, string>>): Command {
  return {
    words: words(agent),
    cwd: COMPUTER.workspace,
    environment,
    descriptors: ["pipe", "pipe", "output", "output"],
  };
}

function words({ path, manifest }: HostAgent): string[] {
  switch (manifest.runtime) {
    case "python": {
      const own = `${path}/.venv/bin/python`;
      return [existsSync(own) ? own : "python3", "-u", `${ADAPTERS}/python/adapter.py`];
    }
    case "node":
      return ["sh", "-c", NODE_DESCRIPTORS, "sh", process.execPath, `${ADAPTERS}/node/adapter.mjs`];
    case "rust":
      return [programPath(path, manifest.program ?? manifest.handler)];
  }
}

export function programPath(path: string, program: string): string {
  return program.startsWith("/") ? program : `${path}/${program}`;
}
