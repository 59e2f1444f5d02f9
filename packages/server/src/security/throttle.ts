import { RaworcError } from "@raworc/contract";
import { addressGroup } from "./source-address.ts";

export interface LoginThrottleOptions {
  /** Milliseconds. */
  readonly now?: () => number;
  /** Sources and accounts that are remembered; beyond it the ones that failed longest ago are forgotten. */
  readonly entriesMax?: number;
}

const FAILURES_MAX = 10;
const WINDOW_MS = 5 * 60 * 1000;
const ENTRIES_MAX = 50_000;

/** Times of failures within the window, by key; the key that failed last is at the end. */
class FailureLog {
  readonly #entriesMax: number;
  readonly #times = new Map<string, number[]>();

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get size(): number {
    return this.#times.size;
  }

  /** Milliseconds until one more failure is allowed. */
  wait(key: string, now: number): number {
    const times = this.#recent(key, now);
    const [oldest] = times;
    return oldest === undefined || times.length < FAILURES_MAX ? 0 : oldest + WINDOW_MS - now;
  }

  add(key: string, now: number): void {
    const times = this.#recent(key, now);
    this.#times.delete(key);
    this.#times.set(key, [...times, now]);
    if (this.#times.size <= this.#entriesMax) return;
    const [longestAgo] = this.#times.keys();
    if (longestAgo !== undefined) this.#times.delete(longestAgo);
  }

  clear(key: string): void {
    this.#times.delete(key);
  }

  #recent(key: string, now: number): number[] {
    const times = this.#times.get(key);
    if (times === undefined) return [];
    const recent = times.filter((time) => time > now - WINDOW_MS);
    if (recent.length === 0) this.#times.delete(key);
    return recent;
  }
}

/** Counts failed logins per account and per source address: ten in five minutes, then `rate_limited`. */
export class LoginThrottle {
  readonly #now: () => number;
  readonly #accounts: FailureLog;
  readonly #addresses: FailureLog;

  constructor(options: LoginThrottleOptions = {}) {
    this.#now = options.now ?? Date.now;
    this.#accounts = new FailureLog(options.entriesMax ?? ENTRIES_MAX);
    this.#addresses = new FailureLog(options.entriesMax ?? ENTRIES_MAX);
  }

  /** Keys that are remembered now. */
  get size(): number {
    return this.#accounts.size + this.#addresses.size;
  }

  /**
   * Runs one try to log in, whether the account exists or not. Refuses before it, and after it too: of many tries that
   * run at once no more than the limit learn whether they were right.
   */
  async attempt(account: string, address: string, check: () => Promise<boolean>): Promise<boolean> {
    const source = addressGroup(address);
    this.#refuse(account, source);
    const succeeded = await check();
    this.#refuse(account, source);
    if (succeeded) this.#accounts.clear(account);
    else {
      this.#accounts.add(account, this.#now());
      this.#addresses.add(source, this.#now());
    }
    return succeeded;
  }

  #refuse(account: string, source: string): void {
    const now = this.#now();
    const wait = Math.max(this.#accounts.wait(account, now), this.#addresses.wait(source, now));
    if (wait <= 0) return;
    const retryAfterSeconds = Math.ceil(wait / 1000);
    const detail = `Too many failed logins for this account or from this address. Wait ${retryAfterSeconds} seconds.`;
    throw new RaworcError("rate_limited", detail, { retryAfterSeconds });
  }
}
