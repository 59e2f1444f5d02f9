import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Notice, Order, ProgramStart } from "./orders.ts";
import { SpawnedProgram } from "./spawned-program.ts";

const PROGRAM = fileURLToPath(new URL("./spawner-program.ts", import.meta.url));
/** It waits most of the time, and the less it holds the faster it starts others. */
const NODE_FLAGS = ["--max-semi-space-size=1", "--v8-pool-size=0"];

/**
 * Starts programs of the machine from a small process of its own. To start one, the kernel copies what describes the memory
 * of the process that asks: from the server, which holds some hundred MiB, that takes 5 to 15 ms, in which it answers
 * nobody, and each page that it writes afterwards is copied. The process ends with this one, however that ends, and is
 * started anew when it was killed; it gets nothing of the server's environment.
 */
export class Spawner {
  #process: ChildProcess | undefined;
  readonly #programs = new Map<number, SpawnedProgram>();
  #count = 0;

  /** Starts the process, so that the first program need not wait for it. */
  begin(): void {
    this.#need();
  }

  start(program: ProgramStart): SpawnedProgram {
    this.#count += 1;
    const id = this.#count;
    const started = new SpawnedProgram({
      order: (order) => this.#send({ ...order, id }),
      onLetGo: () => this.#keepAwake(),
    });
    this.#programs.set(id, started);
    this.#need();
    this.#keepAwake();
    this.#send({ order: "start", id, ...program });
    return started;
  }

  /** What was started lives on, as far as it waits for nothing of this process. Whoever starts another one closes again. */
  async close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const own = this.#process;
    if (own === undefined) return;
    own.once("exit", () => resolve());
    own.ref();
    if (own.connected) own.disconnect();
    await promise;
  }

  #need(): ChildProcess {
    if (this.#process !== undefined) return this.#process;
    const child = spawn(process.execPath, [...NODE_FLAGS, PROGRAM], {
      cwd: "/",
      env: {},
      // Signals of a terminal are the server's.
      detached: true,
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    child.on("message", (notice: Notice) => this.#hear(notice));
    child.on("error", () => this.#lose(child));
    child.on("exit", () => this.#lose(child));
    this.#process = child;
    this.#keepAwake();
    return child;
  }

  #send(order: Order): void {
    // One that has just ended tells so by its exit.
    this.#process?.send(order, () => undefined);
  }

  #hear(notice: Notice): void {
    const program = this.#programs.get(notice.id);
    if (notice.notice === "ended") {
      this.#programs.delete(notice.id);
      this.#keepAwake();
    }
    program?.hear(notice);
  }

  #lose(child: ChildProcess): void {
    if (this.#process !== child) return;
    this.#process = undefined;
    const lost = [...this.#programs];
    this.#programs.clear();
    for (const [id, program] of lost) {
      program.hear({ notice: "ended", id, code: null });
      program.hear({ notice: "silent", id });
    }
  }

  /** Only what somebody waits for keeps this process alive. */
  #keepAwake(): void {
    const awaited = [...this.#programs.values()].some((program) => !program.isLetGo);
    for (const handle of [this.#process, this.#process?.channel]) {
      if (awaited) handle?.ref();
      else handle?.unref();
    }
  }
}
