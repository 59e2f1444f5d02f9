import { stripVTControlCharacters } from "node:util";

const LINE_MAX_CHARACTERS = 2000;
/** User and password of an address, which tools print when they fail to reach it. */
const CREDENTIALS = /:\/\/[^/\s@]+@/g;

/** Cuts one stream of a program's output into lines, of which none is long or holds what steers a terminal. */
export class OutputLines {
  readonly #decoder = new TextDecoder();
  #rest = "";
  #cut = false;

  push(piece: Uint8Array): string[] {
    return this.#split(this.#decoder.decode(piece, { stream: true }));
  }

  /** The last line, where it was not ended. */
  end(): string[] {
    const lines = this.#split(this.#decoder.decode());
    const last = this.#rest;
    this.#rest = "";
    return last === "" ? lines : [...lines, this.#clean(last)];
  }

  #split(text: string): string[] {
    const parts = `${this.#rest}${text}`.split("\n");
    const rest = parts.pop() ?? "";
    const lines = parts.map((part) => this.#clean(part));
    // What overwrites itself, as progress bars do, is kept in its last form.
    this.#rest = rest.length > LINE_MAX_CHARACTERS ? (/[^\r]*$/.exec(rest)?.[0] ?? "") : rest;
    if (this.#rest.length > LINE_MAX_CHARACTERS) {
      this.#rest = this.#rest.slice(0, LINE_MAX_CHARACTERS);
      this.#cut = true;
    }
    return lines;
  }

  #clean(raw: string): string {
    const cut = this.#cut || raw.length > LINE_MAX_CHARACTERS;
    this.#cut = false;
    return cleanLine(raw.slice(0, LINE_MAX_CHARACTERS)) + (cut ? "…" : "");
  }
}

/** A line that is safe to show on a terminal and to keep. */
export function cleanLine(raw: string): string {
  const shown = raw.replace(/\r+$/, "").split("\r").at(-1) ?? "";
  return stripVTControlCharacters(shown)
    .replaceAll("\t", "  ")
    .replace(/\p{Cc}/gu, "")
    .replace(CREDENTIALS, "://***@")
    .trimEnd();
}
