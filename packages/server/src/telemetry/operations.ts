import type { SpanContext } from "@opentelemetry/api";
import type { Logger } from "pino";
import { plainLog, type WriteLine } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import type { Attributes, RunningSpan, Tracing } from "./tracing.ts";

/** `message`: a delivery to its end; `build`: one run; `session`: a turn in which something was done. */
export type OperationKind = "message" | "build" | "session";

/** The request that has begun something. */
export interface Cause {
  readonly requestId: string;
  readonly span: SpanContext | undefined;
}

export interface OperationsOptions {
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
  readonly tracing?: Tracing | undefined;
}

interface Running {
  readonly startedAt: number;
  readonly fields: Attributes;
  readonly span: RunningSpan | undefined;
}

/** Causes that are remembered; what is begun later than that has none in the log. */
const CAUSES_MAX = 10_000;

/** Tells of what the operator does: one line in the log, figures and a span for each operation. */
export class Operations {
  readonly #options: OperationsOptions;
  readonly #writeLine: WriteLine;
  readonly #running = new Map<string, Running>();
  /** By the id of what was asked for. */
  readonly #causes = new Map<string, Cause>();

  constructor(options: OperationsOptions) {
    this.#options = options;
    this.#writeLine = plainLog(options.log);
  }

  /** A request has asked for what has this id: its operations are told with it. */
  caused(id: string, cause: Cause): void {
    this.#causes.delete(id);
    this.#causes.set(id, cause);
    if (this.#causes.size <= CAUSES_MAX) return;
    const [oldest] = this.#causes.keys();
    if (oldest !== undefined) this.#causes.delete(oldest);
  }

  /** Ended by `end` or `leave`; one that is begun again begins anew. */
  begin(kind: OperationKind, id: string, fields: Attributes = {}): void {
    const parent = this.#causes.get(id)?.span;
    const attributes = { [`raworc.${kind}`]: id, ...prefixed(fields) };
    const span = this.#options.tracing?.begin(kind, { kind: "consumer", parent, attributes });
    this.#running.set(`${kind} ${id}`, { startedAt: performance.now(), fields, span });
  }

  /** Says how it ended. Nothing happens for what was never begun here. */
  end(kind: OperationKind, id: string, outcome: string, fields: Attributes = {}): void {
    const ended = this.#take(kind, id, outcome, fields);
    if (ended !== undefined) this.#options.metrics?.operationEnded(kind, outcome, ended.ms / 1000);
  }

  /** Nobody knows yet how it ends: this server stops, or another one goes on with it. */
  leave(kind: OperationKind, id: string): void {
    this.#take(kind, id, "left", {});
  }

  #take(kind: OperationKind, id: string, outcome: string, more: Attributes): { ms: number } | undefined {
    const running = this.#running.get(`${kind} ${id}`);
    if (running === undefined) return undefined;
    this.#running.delete(`${kind} ${id}`);
    const cause = this.#causes.get(id);
    // A session's turns have no end; the other operations have one.
    if (kind !== "session" && outcome !== "left") this.#causes.delete(id);
    const ms = Math.round((performance.now() - running.startedAt) * 1000) / 1000;
    const fields = { ...running.fields, ...more };
    this.#writeLine({ [kind]: id, outcome, ms, request_id: cause?.requestId ?? null, ...fields }, kind);
    running.span?.end({ "raworc.outcome": outcome, ...prefixed(more) }, outcome === "failed");
    return { ms };
  }
}

function prefixed(fields: Attributes): Attributes {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [`raworc.${name}`, value]));
}
