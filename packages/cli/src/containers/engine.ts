import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import type { Config } from "../config.ts";
import { CommandFailure } from "../failure.ts";
import { textLines } from "../text-lines.ts";

export interface EngineAnswer {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** The Docker engine, by its command-line client. */
export class Engine {
  readonly #environment: Config["environment"];

  constructor(config: Config) {
    this.#environment = config.environment;
  }

  /** Runs a command and gives what came of it. Throws CommandFailure where there is no client. */
  async ask(words: readonly string[]): Promise<EngineAnswer> {
    const child = spawn("docker", words, { env: { ...this.#environment }, stdio: ["ignore", "pipe", "pipe"] });
    const failed = once(child, "error").then(([error]) => Promise.reject(noClient(error)));
    const ended = once(child, "close") as Promise<[number | null]>;
    const said = Promise.all([text(child.stdout), text(child.stderr), ended]);
    // Whichever loses is heard all the same.
    failed.catch(() => undefined);
    said.catch(() => undefined);
    const [out, err, [code]] = await Promise.race([said, failed]);
    return { code: code ?? 1, out: out.trim(), err: err.trim() };
  }

  /** What a command printed. Throws CommandFailure where it failed. */
  async run(words: readonly string[]): Promise<string> {
    const { code, err, out } = await this.ask(words);
    if (code === 0) return out;
    throw new CommandFailure(`docker ${words[0]} failed: ${faultIn(err)}`);
  }

  /** The lines of a container's log as they come; what it wrote to stderr goes there, or nowhere. */
  async *logLines(name: string, words: readonly string[], stderr: "inherit" | "ignore"): AsyncGenerator<string> {
    const child = spawn("docker", ["logs", ...words, name], {
      env: { ...this.#environment },
      stdio: ["ignore", "pipe", stderr],
    });
    child.once("error", () => undefined);
    try {
      for await (const line of textLines(child.stdout)) yield line;
    } finally {
      child.kill();
    }
  }

  /** Throws CommandFailure with what to do where no engine answers. */
  async requireEngine(): Promise<void> {
    const { code, err } = await this.ask(["version", "--format", "{{.Server.Version}}"]);
    if (code === 0) return;
    throw new CommandFailure(`No Docker engine answers: ${faultIn(err)}`, [
      "start Docker, or start without containers: raworc start",
    ]);
  }
}

/** The line that tells, of what the engine's client says. */
export function faultIn(err: string): string {
  const lines = err.split("\n").filter((line) => line.trim() !== "" && !line.includes("--help"));
  return (lines.find((line) => /error|invalid|cannot/i.test(line)) ?? lines.at(-1) ?? "").replace(/^docker: /, "");
}

function noClient(cause: unknown): CommandFailure {
  const why =
    cause instanceof Error && "code" in cause && cause.code === "ENOENT" ? "there is no program docker" : cause;
  return new CommandFailure(`The Docker engine can't be asked: ${String(why)}.`, [
    "install Docker's command-line client, or start without containers: raworc start",
  ]);
}
