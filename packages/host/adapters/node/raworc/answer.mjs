import { PIECE_LENGTH } from "./connection.mjs";
import { pieceText, resultText } from "./texts.mjs";

/** What goes back for one message. */
export class Answer {
  #connection;
  #messageId;
  #tokens = {};
  #content = {};
  streamed = false;

  constructor(connection, messageId) {
    this.#connection = connection;
    this.#messageId = messageId;
  }

  /** A piece of any shape; shown at once. */
  stream(piece) {
    const text = pieceText(piece);
    if (text === "") return;
    this.streamed = true;
    this.#connection.delta(this.#messageId, text);
  }

  /** The result of a handler that did not stream. */
  finish(value) {
    const text = resultText(value);
    if (text.length <= PIECE_LENGTH) this.#content = { content: text };
    else this.#connection.part(this.#messageId, text);
  }

  /** Adds up what a framework reports. */
  count(input, output) {
    if (typeof input === "number") this.#tokens.input = (this.#tokens.input ?? 0) + input;
    if (typeof output === "number") this.#tokens.output = (this.#tokens.output ?? 0) + output;
  }

  result() {
    return Object.keys(this.#tokens).length === 0 ? this.#content : { ...this.#content, tokens: this.#tokens };
  }
}
