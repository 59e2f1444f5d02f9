/** Milliseconds of many runs, sorted. */
export interface Figures {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

export function figuresOf(milliseconds: readonly number[]): Figures {
  const sorted = milliseconds.toSorted((one, other) => one - other);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return { count: sorted.length, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
}

/** Runs something many times, one after the other, and gives the milliseconds of each. The first runs don't count. */
export async function measure(count: number, work: (run: number) => Promise<unknown>, warmUp = 2): Promise<number[]> {
  const times: number[] = [];
  for (let run = -warmUp; run < count; run += 1) {
    const start = performance.now();
    await work(run);
    if (run >= 0) times.push(performance.now() - start);
  }
  return times;
}
