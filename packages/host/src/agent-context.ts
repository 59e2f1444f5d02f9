import type { AgentContext } from "@raworc/contract";
import type { HistoryText } from "./history.ts";

/** The handler's second argument, as JSON. Its history is written once for all the messages that it comes with. */
export class AgentContextText {
  /** All of it. */
  readonly history: readonly HistoryText[];
  readonly #rest: string;

  constructor(context: Readonly<Record<string, unknown>> | AgentContext, history: readonly HistoryText[]) {
    this.history = history;
    this.#rest = JSON.stringify({ ...context, history: undefined });
  }

  /** Of the history only what comes after its first `skipped` entries. */
  json(skipped = 0): string {
    const entries = this.history.slice(skipped).map(({ json }) => json);
    return `{"history":[${entries.join(",")}]${this.#rest === "{}" ? "" : ","}${this.#rest.slice(1)}`;
  }
}
