/** Upper bounds in seconds. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const;

interface Series {
  readonly labels: string;
  /** Requests by the first bucket that they fit in; the last are those that fit in none. */
  readonly counts: number[];
  sum: number;
}

const TOTAL = "raworc_http_requests_total";
const DURATION = "raworc_http_request_duration_seconds";
const RUNNING = "raworc_http_requests_in_flight";

/**
 * Figures of requests. Every request changes them and few ever read them, so they are bare numbers until somebody does: a
 * library's histogram would cost as much as a request's rights.
 */
export class RequestFigures {
  /** By route, status and method: there are as many as routes have statuses. */
  readonly #series = new Map<string, Map<number, Map<string, Series>>>();
  #running = 0;

  began(): void {
    this.#running += 1;
  }

  ended(method: string, route: string, status: number, seconds: number): void {
    this.#running -= 1;
    const { counts } = this.#add(method, route, status, seconds);
    let bucket = 0;
    while (bucket < BUCKETS.length && seconds > (BUCKETS[bucket] ?? 0)) bucket += 1;
    counts[bucket] = (counts[bucket] ?? 0) + 1;
  }

  /** In the text format of Prometheus. */
  text(): string {
    const all = [...this.#series.values()].flatMap((ofRoute) =>
      [...ofRoute.values()].flatMap((ofStatus) => [...ofStatus.values()]),
    );
    const total = all.map(({ counts, labels }) => `${TOTAL}{${labels}} ${sumOf(counts)}`);
    return [
      ...headed(TOTAL, "Requests answered", "counter", total),
      ...headed(DURATION, "From a request's arrival to the end of its answer", "histogram", all.flatMap(durationLines)),
      ...headed(RUNNING, "Requests that are being answered, streams too", "gauge", [`${RUNNING} ${this.#running}`]),
      "",
    ].join("\n");
  }

  #add(method: string, route: string, status: number, seconds: number): Series {
    let ofRoute = this.#series.get(route);
    if (ofRoute === undefined) {
      ofRoute = new Map();
      this.#series.set(route, ofRoute);
    }
    let ofStatus = ofRoute.get(status);
    if (ofStatus === undefined) {
      ofStatus = new Map();
      ofRoute.set(status, ofStatus);
    }
    let series = ofStatus.get(method);
    if (series === undefined) {
      const labels = `method="${method}",route="${route}",status="${status}"`;
      series = { labels, counts: new Array(BUCKETS.length + 1).fill(0), sum: 0 };
      ofStatus.set(method, series);
    }
    series.sum += seconds;
    return series;
  }
}

const sumOf = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);

function headed(name: string, help: string, type: string, lines: readonly string[]): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines, ""];
}

function durationLines({ counts, labels, sum }: Series): string[] {
  let count = 0;
  const buckets = [...BUCKETS, "+Inf"].map((bound, index) => {
    count += counts[index] ?? 0;
    return `${DURATION}_bucket{le="${bound}",${labels}} ${count}`;
  });
  return [...buckets, `${DURATION}_sum{${labels}} ${sum}`, `${DURATION}_count{${labels}} ${count}`];
}
