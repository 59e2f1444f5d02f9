import type { HistoryText } from "./history.ts";

/** What a worker still has of the history that came with the message before. */
export class SentHistory {
  #last: HistoryText | undefined;

  /** So many entries of the beginning it has; undefined when it has to get all. The rest counts as sent from now on. */
  next(history: readonly HistoryText[]): number | undefined {
    const at = this.#last === undefined ? -1 : history.lastIndexOf(this.#last);
    this.#last = history.at(-1);
    return at === -1 ? undefined : at + 1;
  }
}
