import type { HistoryEntry } from "@raworc/contract";
import { HISTORY_KEPT_BYTES, HISTORY_KEPT_MESSAGES } from "./limits.ts";
import { RequestError } from "./requests.ts";

/** An entry as agents get it, written once. */
export interface HistoryText {
  /** JSON of role and content. */
  readonly json: string;
  /** Of the content. */
  readonly bytes: number;
}

/** The conversation before a message, kept so that the next message need only bring what came since. */
export class History {
  #entries: readonly HistoryText[] = [];
  #last: number | undefined;

  /**
   * What the agent gets to know with a message: what is given, behind what is kept where it comes `after` an entry. Throws
   * RequestError when what is kept does not end there. The list is never changed, and its entries stay the same objects for
   * as long as they are kept.
   */
  take(given: readonly HistoryEntry[], after: number | undefined): readonly HistoryText[] {
    if (after !== undefined && after !== this.#last) throw new RequestError(409, "conflict", "history unknown");
    const kept = after === undefined ? [] : this.#entries;
    this.#entries = newest([...kept, ...given.map(write)]);
    this.#last = given.length === 0 ? after : given.at(-1)?.seq;
    return this.#entries;
  }
}

function write({ role, content }: HistoryEntry): HistoryText {
  return { json: JSON.stringify({ role, content }), bytes: Buffer.byteLength(content) };
}

/** Whole entries, as many as fit. */
function newest(entries: readonly HistoryText[]): readonly HistoryText[] {
  let first = entries.length;
  for (let bytes = 0; first > 0 && entries.length - first < HISTORY_KEPT_MESSAGES; first -= 1) {
    bytes += entries[first - 1]?.bytes ?? 0;
    if (bytes > HISTORY_KEPT_BYTES) break;
  }
  return first === 0 ? entries : entries.slice(first);
}
