import type { Transaction } from "../store/store.ts";

/** What else is written in the transaction of a call's audit event, so that all are there or none. */
export interface ChangeCompanion {
  /** At the beginning of the transaction; may throw to end it. May be called again for another attempt. */
  before(transaction: Transaction): Promise<void>;
  /** At its end, when the work has gone well. */
  after(transaction: Transaction): Promise<void>;
  /** The transaction is on the disk. `isChange` is false when it held the event alone. */
  committed(isChange: boolean): void;
}
