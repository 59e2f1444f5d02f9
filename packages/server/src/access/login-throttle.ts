import { hash } from "node:crypto";
import { RaworcError } from "@raworc/contract";
import { addressGroup } from "../security/source-address.ts";
import {
  deleteLoginFailuresBefore,
  findLoginFailures,
  insertLoginFailure,
  updateLoginFailures,
} from "../store/login-failures.ts";
import type { Store } from "../store/store.ts";

export interface LoginThrottleOptions {
  /** The plain store: what is counted is no change that the audit tells of. */
  readonly store: Store;
  /** Milliseconds. */
  readonly now?: () => number;
}

const FAILURES_MAX = 10;
const WINDOW_MS = 5 * 60 * 1000;
const SWEEP_MS = 60 * 1000;

/**
 * Counts failed logins per account and per source address: ten in five minutes, then `rate_limited`. The counts are in the
 * store, so they hold on all servers together and after a restart. Their number is bounded by what slow hashes allow in
 * five minutes.
 */
export class LoginThrottle {
  readonly #store: Store;
  readonly #now: () => number;
  #sweptAt = Number.NEGATIVE_INFINITY;

  constructor({ store, now = Date.now }: LoginThrottleOptions) {
    this.#store = store;
    this.#now = now;
  }

  /**
   * Runs one try to log in, whether the account exists or not. Refuses before it, and after it too: of many tries that
   * run at once no more than the limit learn whether they were right.
   */
  async attempt(account: string, address: string, check: () => Promise<boolean>): Promise<boolean> {
    const ofAccount = subjectOf("account", account);
    const ofSource = subjectOf("address", addressGroup(address));
    const subjects = [ofAccount, ofSource];
    refuse(await findLoginFailures(this.#store.read, subjects), this.#now());
    const succeeded = await check();
    await this.#store.write(async (transaction) => {
      const now = this.#now();
      const known = await findLoginFailures(transaction, subjects);
      refuse(known, now);
      if (succeeded) {
        if (known.has(ofAccount)) await updateLoginFailures(transaction, ofAccount, []);
        return;
      }
      for (const subject of subjects.toSorted()) {
        const times = known.get(subject);
        if (times === undefined) await insertLoginFailure(transaction, subject, now);
        else await updateLoginFailures(transaction, subject, [...recent(times, now), now]);
      }
      if (now - this.#sweptAt < SWEEP_MS) return;
      this.#sweptAt = now;
      await deleteLoginFailuresBefore(transaction, now - WINDOW_MS);
    });
    return succeeded;
  }
}

/** Not the name itself: what is typed there may be a password in the wrong field. */
function subjectOf(kind: "account" | "address", name: string): string {
  return hash("sha256", `${kind}\0${name}`, "hex");
}

function recent(times: readonly number[], now: number): readonly number[] {
  return times.filter((time) => time > now - WINDOW_MS);
}

function refuse(known: ReadonlyMap<string, readonly number[]>, now: number): void {
  const waits = [...known.values()].map((times) => {
    const [oldest, ...more] = recent(times, now);
    return oldest === undefined || more.length + 1 < FAILURES_MAX ? 0 : oldest + WINDOW_MS - now;
  });
  const wait = Math.max(0, ...waits);
  if (wait === 0) return;
  const retryAfterSeconds = Math.ceil(wait / 1000);
  const detail = `Too many failed logins for this account or from this address. Wait ${retryAfterSeconds} seconds.`;
  throw new RaworcError("rate_limited", detail, { retryAfterSeconds });
}
