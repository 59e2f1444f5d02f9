import type { ChildProcess } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { z } from "zod";

const Information = z.object({ "child-pid": z.number().int() });
const INFORMATION_MAX = 4096;

/** Descriptors of a launch: what it tells, leave to go on, and leave to map in a namespace of the user's own. */
export const TOLD = 3;
export const LEAVE = 4;
export const MAPPING = 5;

/** The launch ended before a computer was there; its log says why. */
export class LaunchEnded extends Error {
  override readonly name = "LaunchEnded";
}

/** Lines that a launch says, and the leave that it waits for. */
export class LaunchTalk {
  readonly #child: ChildProcess;
  #text = "";
  #closed = false;
  #wake: () => void = () => undefined;

  constructor(child: ChildProcess) {
    this.#child = child;
    const told = child.stdio[TOLD] as Readable;
    told.setEncoding("latin1");
    told.on("data", (piece: string) => {
      if (this.#text.length < INFORMATION_MAX) this.#text += piece;
      this.#wake();
    });
    const close = () => {
      this.#closed = true;
      this.#wake();
    };
    told.on("close", close);
    told.on("error", close);
    child.on("error", close);
    for (const descriptor of [LEAVE, MAPPING]) child.stdio[descriptor]?.on("error", () => undefined);
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
    (this.#child.stdio[descriptor] as Writable | null | undefined)?.write(`${line}\n`);
  }

  close(): void {
    for (const descriptor of [TOLD, LEAVE, MAPPING]) (this.#child.stdio[descriptor] as Readable | undefined)?.destroy();
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
