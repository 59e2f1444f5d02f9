import type { FastifyBaseLogger } from "fastify";
import type { Bindings } from "pino";

type Level = "fatal" | "error" | "warn" | "info" | "debug" | "trace";

/** The log of one request, made when it has something to say: most have not, and a child costs more than its line. */
export class RequestLog {
  readonly #parent: FastifyBaseLogger;
  readonly #bindings: Bindings;
  #child: FastifyBaseLogger | undefined;

  constructor(parent: FastifyBaseLogger, bindings: Bindings) {
    this.#parent = parent;
    this.#bindings = bindings;
  }

  get level(): string {
    return this.#parent.level;
  }

  fatal(...line: unknown[]): void {
    this.#write("fatal", line);
  }

  error(...line: unknown[]): void {
    this.#write("error", line);
  }

  warn(...line: unknown[]): void {
    this.#write("warn", line);
  }

  info(...line: unknown[]): void {
    this.#write("info", line);
  }

  debug(...line: unknown[]): void {
    this.#write("debug", line);
  }

  trace(...line: unknown[]): void {
    this.#write("trace", line);
  }

  silent(): void {}

  child(bindings: Bindings): FastifyBaseLogger {
    return this.#parent.child({ ...this.#bindings, ...bindings });
  }

  #write(level: Level, line: unknown[]): void {
    this.#child ??= this.#parent.child(this.#bindings);
    const write = this.#child[level] as (...line: unknown[]) => void;
    write.apply(this.#child, line);
  }
}
