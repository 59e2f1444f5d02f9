/** The conversation as the messages bring it: most of them only what is new. */
export class History {
  #entries = [];

  /** Gives a message's context its whole history, which the handler may change as it likes. */
  complete({ context, history_keeps: keeps }) {
    const kept = keeps === undefined ? [] : this.#entries.slice(this.#entries.length - keeps);
    this.#entries = [...kept, ...context.history];
    context.history = this.#entries.map((entry) => ({ ...entry }));
  }
}
