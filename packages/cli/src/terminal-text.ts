/** Longest control sequence that is looked for; what goes on longer is text. */
const SEQUENCE_MAX = 4096;

type State = "text" | "escape" | "sequence" | "string" | "stringEscape";

/**
 * Makes text that strangers wrote fit for a terminal, in whatever pieces it comes. Colours, cursor moves, titles, clipboard
 * writes and all other control sequences are dropped, as are marks that change the direction of writing; a lone carriage
 * return, with which a line could be painted over, becomes a line break.
 */
export class TerminalText {
  #state: State = "text";
  #length = 0;
  #afterReturn = false;
  #highSurrogate = "";

  push(piece: string): string {
    const text = this.#highSurrogate + piece;
    this.#highSurrogate = "";
    let clean = "";
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index);
      if (index === text.length - 1 && code >= 0xd800 && code <= 0xdbff) {
        this.#highSurrogate = text.charAt(index);
        break;
      }
      clean += this.#take(code, text.charAt(index));
    }
    return clean;
  }

  /** What is left when no more will come. */
  end(): string {
    const rest = this.#highSurrogate === "" ? "" : "\uFFFD";
    const lineBreak = this.#afterReturn ? "\n" : "";
    this.#highSurrogate = "";
    this.#afterReturn = false;
    this.#state = "text";
    return lineBreak + rest;
  }

  #take(code: number, character: string): string {
    if (this.#state !== "text") {
      this.#length += 1;
      if (this.#length > SEQUENCE_MAX || code === 0x0a) this.#state = "text";
      else {
        this.#step(code);
        return "";
      }
    }
    const before = this.#afterReturn && code !== 0x0a ? "\n" : "";
    this.#afterReturn = code === 0x0d;
    if (code === 0x1b) this.#enter("escape");
    else if (code === 0x9b) this.#enter("sequence");
    else if (code === 0x90 || code === 0x98 || (code >= 0x9d && code <= 0x9f)) this.#enter("string");
    else if (code === 0x2028 || code === 0x2029) return `${before}\n`;
    else if (code === 0x0a || code === 0x09 || !isUnsafe(code)) return before + character;
    return before;
  }

  #enter(state: State): void {
    this.#state = state;
    this.#length = 0;
  }

  /** Walks on in a control sequence, up to and with its last character. */
  #step(code: number): void {
    if (code === 0x1b) this.#state = this.#state === "string" ? "stringEscape" : "escape";
    else if (this.#state === "escape") {
      // ESC [ begins a sequence, ESC ] P X ^ _ a string; intermediates go on; anything else ends it.
      if (code === 0x5b) this.#state = "sequence";
      else if ([0x5d, 0x50, 0x58, 0x5e, 0x5f].includes(code)) this.#state = "string";
      else if (code < 0x20 || code > 0x2f) this.#state = "text";
    } else if (this.#state === "sequence") {
      if (code >= 0x40 && code <= 0x7e) this.#state = "text";
    } else if (this.#state === "stringEscape") this.#state = code === 0x5c ? "text" : "string";
    else if (code === 0x07 || code === 0x9c) this.#state = "text";
  }
}

function isUnsafe(code: number): boolean {
  return (
    code < 0x20 ||
    (code >= 0x7f && code <= 0x9f) ||
    (code >= 0x202a && code <= 0x202e) ||
    (code >= 0x2066 && code <= 0x2069) ||
    code === 0x200e ||
    code === 0x200f ||
    code === 0x061c
  );
}

/** A whole text, made fit for a terminal. */
export function cleanText(text: string): string {
  const cleaner = new TerminalText();
  return cleaner.push(text) + cleaner.end();
}

/** The same on one line, for a cell of a table or a title. */
export function cleanLine(text: string): string {
  return cleanText(text).replace(/\s+/g, " ").trim();
}

const GRAPHEMES = new Intl.Segmenter("en", { granularity: "grapheme" });
const WIDE =
  /^(?:\p{Extended_Pictographic}|[\u1100-\u115F\u2E80-\u303E\u3041-\uA4CF\uA960-\uA97C\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6]|[\u{1F1E6}-\u{1F1FF}]|[\u{20000}-\u{3FFFD}])/u;
const PLAIN = /^[\x20-\x7e]*$/;

/** Cells that a text without control sequences takes up on a terminal. */
export function textWidth(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let width = 0;
  for (const { segment } of GRAPHEMES.segment(text)) width += /^\p{M}/u.test(segment) ? 0 : WIDE.test(segment) ? 2 : 1;
  return width;
}

/** The text, cut with an ellipsis where it is wider. */
export function cutText(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  let cut = "";
  let taken = 0;
  for (const { segment } of GRAPHEMES.segment(text)) {
    taken += textWidth(segment);
    if (taken > width - 1) break;
    cut += segment;
  }
  return `${cut}…`;
}
