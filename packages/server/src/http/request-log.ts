import type { FastifyBaseLogger } from "fastify";
import type { Bindings } from "pino";

type Level = "fatal" | "error" | "warn" | "info" | "debug" | "trace";

/**
 * The log of one request. The child that writes its lines is made with the first of them: most requests have nothing to
 * say, and a child costs more than its line.
 */
export class RequestLog {
  readonly #parent: FastifyBaseLogger;
  readonly #requestId: string;
  #child: FastifyBaseLogger | undefined;

  constructor(parent: FastifyBaseLogger, requestId: string) {
    this.#parent = parent;
    this.#requestId = requestId;
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
    return this.#parent.child({ request_id: this.#requestId, ...bindings });
  }

  #write(level: Level, line: unknown[]): void {
    this.#child ??= this.#parent.child({ request_id: this.#requestId });
    const write = this.#child[level] as (...line: unknown[]) => void;
    write.apply(this.#child, line);
  }
}
