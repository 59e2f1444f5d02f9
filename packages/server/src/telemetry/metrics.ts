import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { VERSION } from "../version.ts";
import { RequestFigures } from "./request-figures.ts";

/** How many there are of something, by what it is labelled with. */
export type Counts = readonly { readonly labels: Readonly<Record<string, string>>; readonly count: number }[];

/** What is counted when somebody asks. */
export interface MetricSources {
  /** Labels: state, tier. */
  readonly sessions: () => Promise<Counts>;
  /** Those that wait or run. Labels: status. */
  readonly messages: () => Promise<Counts>;
  /** Those that wait or run. Labels: status. */
  readonly builds: () => Promise<Counts>;
  /** Computers that wait in the pool, of all spaces. */
  readonly pool: () => number;
}

export interface MetricsOptions {
  /** Figures of this process too; one of all metrics in a process has them. */
  readonly ofProcess?: boolean;
}

/** Seconds. */
const OPERATION_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800];

/** Figures in the text format of Prometheus. Nothing in them tells of a tenant. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #requests = new RequestFigures();
  readonly #operations: Counter<"kind" | "outcome">;
  readonly #operationDuration: Histogram<"kind" | "outcome">;
  readonly #gauges: { readonly [K in Exclude<keyof MetricSources, "pool">]: Gauge };
  readonly #pool: Gauge;
  #sources: MetricSources | undefined;

  constructor(options: MetricsOptions = {}) {
    const registers = [this.#registry];
    if (options.ofProcess === true) collectDefaultMetrics({ register: this.#registry });
    const operation = { labelNames: ["kind", "outcome"] as const, registers };
    this.#operations = new Counter({
      name: "raworc_operations_total",
      help: "Messages, builds and turns of sessions that have ended",
      ...operation,
    });
    this.#operationDuration = new Histogram({
      name: "raworc_operation_duration_seconds",
      help: "How long messages, builds and turns of sessions took",
      buckets: OPERATION_BUCKETS,
      ...operation,
    });
    const gauge = (name: string, help: string, ...labelNames: string[]) =>
      new Gauge({ name, help, labelNames, registers });
    this.#gauges = {
      sessions: gauge("raworc_sessions", "Sessions that are there", "state", "tier"),
      messages: gauge("raworc_messages_open", "Messages that wait or run", "status"),
      builds: gauge("raworc_builds_open", "Builds that wait or run", "status"),
    };
    this.#pool = gauge("raworc_pool_computers", "Computers that wait for sessions");
    gauge("raworc_build_info", "This server's version", "version").set({ version: VERSION }, 1);
  }

  readonly contentType: string = Registry.PROMETHEUS_CONTENT_TYPE;

  /** Sets where the figures come from that are counted when somebody asks. */
  countFrom(sources: MetricSources): void {
    this.#sources = sources;
  }

  requestBegan(): void {
    this.#requests.began();
  }

  requestEnded(method: string, route: string, status: number, seconds: number): void {
    this.#requests.ended(method, route, status, seconds);
  }

  operationEnded(kind: string, outcome: string, seconds: number): void {
    this.#operations.inc({ kind, outcome });
    this.#operationDuration.observe({ kind, outcome }, seconds);
  }

  /** All figures as they are now. */
  async text(): Promise<string> {
    const sources = this.#sources;
    if (sources !== undefined) {
      for (const name of ["sessions", "messages", "builds"] as const) {
        const counts = await sources[name]();
        const gauge = this.#gauges[name];
        gauge.reset();
        for (const { count, labels } of counts) gauge.set(labels, count);
      }
      this.#pool.set(sources.pool());
    }
    return (await this.#registry.metrics()) + this.#requests.text();
  }
}
