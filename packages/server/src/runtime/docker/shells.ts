import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import { MACHINE_ENVIRONMENT, ProgramError } from "./program.ts";

/** As many wait for work; more are started while these are busy. */
const IDLE_MAX = 4;
const SAID_MAX = 64 * 1024;
const SHOWN = 500;
/** After all that a script has said: how it ended. */
const END = /\0(\d+)\0$/;

type Child = ChildProcessByStdio<Writable, Readable, null>;

/**
 * Shells of the machine that wait for scripts. A process is as expensive to start as the one that starts it is large: from a
 * server it takes ten times what a shell needs, and stops all else meanwhile.
 */
export class Shells {
  readonly #idle: Shell[] = [];
  #closed = false;

  /** Runs a script with its words as `$1` and so on. Throws ProgramError with what it said where it fails. */
  async run(script: string, words: readonly string[]): Promise<void> {
    const shell = this.#take();
    const { code, said } = await shell.run(script, words);
    if (!this.#closed && this.#idle.length < IDLE_MAX) this.#idle.push(shell);
    else shell.end();
    if (code !== 0) throw new ProgramError(said.trim().slice(0, SHOWN) || `exit code ${code}`);
  }

  #take(): Shell {
    for (let shell = this.#idle.pop(); shell !== undefined; shell = this.#idle.pop()) if (shell.usable) return shell;
    return new Shell();
  }

  /** What is under way goes on. */
  close(): void {
    this.#closed = true;
    for (const shell of this.#idle.splice(0)) shell.end();
  }
}

interface ScriptEnd {
  readonly code: number;
  readonly said: string;
}

/** One shell, for one script at a time. Ends with this process. */
class Shell {
  readonly #child: Child;
  #said = "";
  #waiting: PromiseWithResolvers<ScriptEnd> | undefined;
  #problem: Error | undefined;

  constructor() {
    this.#child = spawn("sh", ["-s"], { env: MACHINE_ENVIRONMENT, stdio: ["pipe", "pipe", "ignore"] });
    const fail = (problem: Error): void => {
      this.#problem ??= problem;
      this.#waiting?.reject(this.#problem);
    };
    this.#child.on("error", (error) => fail(new ProgramError(`sh: ${error.message}`, { cause: error })));
    this.#child.on("close", () => fail(new ProgramError("A shell of the machine has ended.")));
    this.#child.stdin.on("error", () => undefined);
    this.#child.stdout.setEncoding("utf8").on("data", (piece: string) => this.#take(piece));
    this.#child.unref();
    this.#hold(false);
  }

  get usable(): boolean {
    return this.#problem === undefined;
  }

  run(script: string, words: readonly string[]): Promise<ScriptEnd> {
    this.#said = "";
    this.#waiting = Promise.withResolvers<ScriptEnd>();
    if (this.#problem !== undefined) this.#waiting.reject(this.#problem);
    this.#hold(true);
    const set = ["set --", ...words.map(quote)].join(" ");
    this.#child.stdin.write(`(${set}\n${script}\n) </dev/null 2>&1; printf '\\0%s\\0' "$?"\n`);
    return this.#waiting.promise.finally(() => this.#hold(false));
  }

  end(): void {
    this.#child.stdin.end();
  }

  /** This process ends although shells wait, and not before a script has ended. */
  #hold(busy: boolean): void {
    for (const stream of [this.#child.stdin, this.#child.stdout]) {
      if (busy) (stream as Socket).ref();
      else (stream as Socket).unref();
    }
  }

  #take(piece: string): void {
    this.#said = (this.#said + piece).slice(-SAID_MAX);
    const end = END.exec(this.#said);
    if (end !== null) this.#waiting?.resolve({ code: Number(end[1]), said: this.#said.slice(0, end.index) });
  }
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
