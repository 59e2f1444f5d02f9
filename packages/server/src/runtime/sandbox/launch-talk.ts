import { z } from "zod";
import type { SpawnedProgram } from "../spawner/spawned-program.ts";

const Information = z.object({ "child-pid": z.number().int() });
const INFORMATION_MAX = 4096;

/** Descriptors of a launch: what it tells, leave to go on, and leave to map in a namespace of the user's own. */
export const TOLD = 3;
export const LEAVE = 4;
export const MAPPING = 5;

export const DESCRIPTORS = { told: TOLD, heard: [LEAVE, MAPPING] } as const;

/** The launch ended before a computer was there; its log says why. */
export class LaunchEnded extends Error {
  override readonly name = "LaunchEnded";
}

/** Lines that a launch says, and the leave that it waits for. */
export class LaunchTalk {
  readonly #program: SpawnedProgram;
  #text = "";
  #closed = false;
  #hushed = false;
  #wake: () => void = () => undefined;

  constructor(program: SpawnedProgram) {
    this.#program = program;
    program.onTold = (piece) => {
      if (piece === undefined) this.#closed = true;
      else if (this.#text.length < INFORMATION_MAX) this.#text += piece;
      this.#wake();
    };
  }

  /** Throws LaunchEnded. */
  async expect(line: string): Promise<void> {
    await this.#until((text) => (text.startsWith(`${line}\n`) ? true : undefined));
    this.#text = this.#text.slice(line.length + 1);
  }

  /** Throws LaunchEnded. */
  childPid(): Promise<number> {
    return this.#until((text) => {
      if (!text.includes("}")) return undefined;
      return Information.parse(JSON.parse(text.slice(0, text.indexOf("}") + 1)))["child-pid"];
    });
  }

  say(descriptor: number, line = "go"): void {
    this.#program.say(descriptor, `${line}\n`);
  }

  /** What waits for leave ends. Idempotent. */
  close(): void {
    if (this.#hushed) return;
    this.#hushed = true;
    this.#closed = true;
    this.#wake();
    this.#program.hush();
  }

  async #until<T>(find: (text: string) => T | undefined): Promise<T> {
    for (;;) {
      const found = find(this.#text);
      if (found !== undefined) return found;
      if (this.#closed) throw new LaunchEnded();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
