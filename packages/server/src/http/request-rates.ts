import { RaworcError } from "@raworc/contract";

interface Bucket {
  /** Requests that may still be made. */
  left: number;
  /** Milliseconds at which `left` was true. */
  at: number;
}

/** Full buckets say nothing and are forgotten when there are more than these. */
const BUCKETS_MAX = 10_000;
const MINUTE_MS = 60_000;

/**
 * Bounds how many requests each principal makes: so many at once, and as many in each minute. Each server counts for
 * itself, so that no request waits for a count.
 */
export class RequestRates {
  readonly #perMinute: number;
  readonly #now: () => number;
  readonly #buckets = new Map<string, Bucket>();

  constructor(perMinute: number, now: () => number = () => performance.now()) {
    this.#perMinute = perMinute;
    this.#now = now;
  }

  /** Principals that are counted. */
  get size(): number {
    return this.#buckets.size;
  }

  /** Throws `rate_limited` when a principal has made too many. */
  take(principalId: string): void {
    const now = this.#now();
    let bucket = this.#buckets.get(principalId);
    if (bucket === undefined) {
      if (this.#buckets.size >= BUCKETS_MAX) this.#forget(now);
      bucket = { left: this.#perMinute, at: now };
      this.#buckets.set(principalId, bucket);
    }
    bucket.left = this.#leftAt(bucket, now);
    bucket.at = now;
    if (bucket.left < 1) {
      const seconds = Math.ceil(((1 - bucket.left) * MINUTE_MS) / this.#perMinute / 1000);
      const detail = `More than ${this.#perMinute} requests in a minute. Wait ${seconds} s, and send fewer.`;
      throw new RaworcError("rate_limited", detail, { retryAfterSeconds: seconds });
    }
    bucket.left -= 1;
  }

  #leftAt({ at, left }: Bucket, now: number): number {
    return Math.min(this.#perMinute, left + ((now - at) * this.#perMinute) / MINUTE_MS);
  }

  #forget(now: number): void {
    for (const [id, bucket] of this.#buckets) {
      if (this.#leftAt(bucket, now) >= this.#perMinute) this.#buckets.delete(id);
    }
  }
}
