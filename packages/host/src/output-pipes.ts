import { execFile } from "node:child_process";
import { constants, mkdirSync, openSync, rmSync, unlinkSync } from "node:fs";
import { Socket } from "node:net";
import { promisify } from "node:util";
import { logLine } from "./host-log.ts";

export interface OutputPipe {
  readonly reader: Socket;
  /** For the process that is started; the caller closes it afterwards. */
  readonly writer: number;
}

/** Of those made in advance; who needs more than these will need many. */
const FIRST_BATCH = 16;
const BATCH = 128;
const REFILL_BELOW = 8;
/** Starting a program keeps the host from answering for some milliseconds. */
const FIRST_AFTER_MS = 50;

/**
 * Pipes for what processes print. What Node.js itself makes are sockets, and no program can open `/dev/stdout` or
 * `/dev/stderr` anew when that is a socket, as many scripts do. So named pipes are made, some in advance, and lose their name
 * when they are used. They are open for writing to the agent, and lie in a folder that it can't enter.
 */
export class OutputPipes {
  readonly #candidates: readonly string[];
  #folder = "";
  #ready: string[] = [];
  #made = 0;
  #filling: Promise<void> | undefined;

  /** Folders to try, the best first: in memory making and removing a name costs nothing. */
  constructor(candidates: readonly string[]) {
    this.#candidates = candidates;
  }

  /** Drops what a host before left. The first ones are made when the host has answered its first calls, or are wanted. */
  prepare(): void {
    for (const folder of this.#candidates) {
      try {
        rmSync(folder, { recursive: true, force: true });
        mkdirSync(folder, { mode: 0o700 });
        this.#folder = folder;
        setTimeout(() => this.#made === 0 && void this.#fill(), FIRST_AFTER_MS).unref();
        return;
      } catch {
        // There is no such place here, or it isn't the host's.
      }
    }
    logLine("warn", "no place for named pipes");
  }

  /** Undefined when none can be made: the disk is full. Then a socket has to do. */
  async take(): Promise<OutputPipe | undefined> {
    if (this.#ready.length === 0) await this.#fill();
    const path = this.#ready.pop();
    if (this.#ready.length < REFILL_BELOW) void this.#fill();
    if (path === undefined) return undefined;
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writer = openSync(path, constants.O_WRONLY);
    unlinkSync(path);
    return { reader: new Socket({ fd: reader, readable: true, writable: false }), writer };
  }

  /** Never throws. Calls that wait together share one batch. */
  #fill(): Promise<void> {
    this.#filling ??= this.#make().finally(() => {
      this.#filling = undefined;
    });
    return this.#filling;
  }

  async #make(): Promise<void> {
    if (this.#folder === "") return;
    const length = this.#made === 0 ? FIRST_BATCH : BATCH;
    const paths = Array.from({ length }, (_, index) => `${this.#folder}/${this.#made + index}`);
    this.#made += length;
    try {
      await promisify(execFile)("mkfifo", ["-m", "622", ...paths], { cwd: "/" });
      this.#ready = [...paths, ...this.#ready];
    } catch (error) {
      logLine("warn", "no named pipes", { error: String(error) });
    }
  }
}
