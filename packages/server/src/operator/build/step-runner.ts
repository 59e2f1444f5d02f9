import type { HostExec } from "@raworc/contract";
import { DriverError } from "../../runtime/driver.ts";
import { BuildFailure } from "./build-failure.ts";
import type { Computer } from "./computer.ts";
import { OutputLines } from "./output-lines.ts";

/** All that the steps of one build share. */
export interface BuildContext {
  readonly computer: Computer;
  /** What the server's configuration hands to builds: package mirrors, certificates, proxies. */
  readonly environment: Readonly<Record<string, string>>;
  /** Awaited, so a builder that prints faster than the log is written waits. */
  readonly onLine: (line: string) => Promise<void>;
  readonly signal: AbortSignal;
  /** For all steps together. Default: BUILD_SECONDS. */
  readonly totalSeconds?: number;
}

export interface Step {
  /** What is being done, as it stands in the log and before "failed": `install requirements`. */
  readonly label: string;
  readonly command: readonly string[];
  readonly cwd: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly seconds?: number;
  /** Its output is for the builder, and not for the log. */
  readonly quiet?: boolean;
  readonly stdin?: string;
}

export interface StepEnd {
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** Of a quiet step, up to QUIET_MAX_BYTES. */
  readonly stdout: Uint8Array;
  /** The last lines of both streams. */
  readonly tail: readonly string[];
}

export const BUILD_SECONDS = 30 * 60;
const TAIL_LINES = 40;
const QUIET_MAX_BYTES = 4 * 1024 * 1024;
/** The host ends a step in time; a host that does not is not waited for longer than this. */
const GRACE_SECONDS = 20;
const DISK_FULL =
  /No space left on device|ENOSPC(?!: System limit)|EDQUOT|Disk quota exceeded|os error 28\b|Errno 28\b/i;

/** Runs the steps of one build in its computer, one after the other, under one time limit. */
export class StepRunner {
  readonly #context: BuildContext;
  readonly #total: number;
  readonly #deadline: number;

  constructor(context: BuildContext) {
    this.#context = context;
    this.#total = context.totalSeconds ?? BUILD_SECONDS;
    this.#deadline = performance.now() + this.#total * 1000;
  }

  get signal(): AbortSignal {
    return this.#context.signal;
  }

  log(line: string): Promise<void> {
    return this.#context.onLine(line);
  }

  /** Throws BuildFailure `build_command_failed` unless the step ends with 0. */
  async run(step: Step): Promise<StepEnd> {
    const end = await this.attempt(step);
    if (end.exitCode === 0) return end;
    throw new BuildFailure("build_command_failed", `${step.label} failed: ${describeEnd(end)}`, end.tail);
  }

  /** Throws BuildFailure where the time is up or the disk is full; else says how the step ended. */
  async attempt(step: Step): Promise<StepEnd> {
    const { computer, environment, signal } = this.#context;
    const left = (this.#deadline - performance.now()) / 1000;
    const seconds = Math.min(step.seconds ?? this.#total, left);
    if (seconds <= 0) throw this.#timeout(step, []);
    if (step.quiet !== true) await this.log(`# ${step.label}`);
    const request: HostExec = {
      command: [...step.command],
      cwd: step.cwd,
      env: { ...environment, ...step.environment },
      timeout_s: seconds,
      ...(step.stdin === undefined ? {} : { stdin: step.stdin }),
    };
    const limit = AbortSignal.timeout(Math.ceil((seconds + GRACE_SECONDS) * 1000));
    const collector = new Collector(step, this.#context.onLine);
    try {
      for await (const line of computer.exec(request, AbortSignal.any([signal, limit]))) {
        if (line.type !== "exit") {
          await collector.add(line.type, Buffer.from(line.data, line.encoding));
          continue;
        }
        const end = await collector.end(line.exit_code, line.signal);
        if (line.timed_out) throw this.#timeout(step, end.tail);
        if (end.exitCode !== 0) throwIfDiskFull(step, end.tail);
        return end;
      }
    } catch (error) {
      signal.throwIfAborted();
      if (limit.aborted) throw this.#timeout(step, collector.tail);
      throw error;
    }
    throw new DriverError("The builder computer broke off a step; it is tried again.", { transient: true });
  }

  #timeout(step: Step, tail: readonly string[]): BuildFailure {
    const late = (this.#deadline - performance.now()) / 1000 < 1;
    const message =
      late || step.seconds === undefined
        ? `${step.label} did not end: the build took longer than its limit of ${this.#total} s`
        : `${step.label} took longer than its limit of ${step.seconds} s`;
    return new BuildFailure("build_timeout", `${message}. The end of the log shows where it stood.`, tail);
  }
}

class Collector {
  readonly tail: string[] = [];
  readonly #step: Step;
  readonly #onLine: (line: string) => Promise<void>;
  readonly #lines = { stdout: new OutputLines(), stderr: new OutputLines() };
  readonly #pieces: Uint8Array[] = [];
  #bytes = 0;

  constructor(step: Step, onLine: (line: string) => Promise<void>) {
    this.#step = step;
    this.#onLine = onLine;
  }

  async add(stream: "stdout" | "stderr", piece: Buffer): Promise<void> {
    if (stream === "stderr" || this.#step.quiet !== true) return this.#keep(this.#lines[stream].push(piece));
    this.#bytes += piece.length;
    if (this.#bytes > QUIET_MAX_BYTES) {
      throw new BuildFailure("build_command_failed", `${this.#step.label} failed: it gave more than can be read`);
    }
    this.#pieces.push(piece);
  }

  async end(exitCode: number | null, signal: string | null): Promise<StepEnd> {
    await this.#keep([...this.#lines.stdout.end(), ...this.#lines.stderr.end()]);
    return { exitCode, signal, stdout: Buffer.concat(this.#pieces), tail: this.tail };
  }

  async #keep(lines: readonly string[]): Promise<void> {
    for (const line of lines) {
      this.tail.push(line);
      if (this.tail.length > TAIL_LINES) this.tail.shift();
      if (this.#step.quiet !== true) await this.#onLine(line);
    }
  }
}

function throwIfDiskFull(step: Step, tail: readonly string[]): void {
  if (!tail.some((line) => DISK_FULL.test(line))) return;
  const message = `The disk is full: ${step.label} needed more than the builder may use. Raise the space's disk_mb, free the server's disk, or make the agent smaller.`;
  throw new BuildFailure("disk_full", message, tail);
}

export function describeEnd({ exitCode, signal }: Pick<StepEnd, "exitCode" | "signal">): string {
  if (signal === "SIGKILL" || exitCode === 137) {
    return "it was killed, most likely because it needed more memory than the builder has (memory_mb of the space)";
  }
  return exitCode === null ? `it was ended by ${signal ?? "a signal"}` : `exit code ${exitCode}`;
}
