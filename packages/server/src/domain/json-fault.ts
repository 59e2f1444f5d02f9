/** Where and why a text is not JSON. Lines and columns count from 1. */
export interface JsonFault {
  readonly line: number;
  readonly column: number;
  readonly reason: string;
}

/** Of the control characters JSON refuses only those below the space. */
const STRING = /"(?:[^"\\\p{Cc}]|[\x7f-\x9f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"/uy;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /(?:true|false|null)(?![A-Za-z0-9_])/y;
const SPACE = /[ \t\r\n]*/y;
const DEPTH_MAX = 200;

/** The first fault of a text that is not JSON; undefined when it is. JSON.parse names no place for most faults. */
export function findJsonFault(text: string): JsonFault | undefined {
  const reader = new Reader(text);
  try {
    reader.value(0);
    if (!reader.atEnd()) reader.fail("there is more after the end of the value");
    return undefined;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const before = text.slice(0, error.position).split("\n");
    return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1, reason: error.message };
  }
}

class Fault extends Error {
  readonly position: number;
  constructor(position: number, reason: string) {
    super(reason);
    this.position = position;
  }
}

class Reader {
  readonly #text: string;
  #position = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(depth: number): void {
    if (depth > DEPTH_MAX) this.fail("it is nested too deeply");
    this.#take(SPACE);
    if (this.#next() === "{") this.#members("}", depth);
    else if (this.#next() === "[") this.#members("]", depth);
    else if (this.#next() === '"') this.#string();
    else if (!this.#take(WORD) && !this.#take(NUMBER)) this.fail(`a value is expected${this.#found()}`);
    this.#take(SPACE);
  }

  atEnd(): boolean {
    return this.#position === this.#text.length;
  }

  fail(reason: string): never {
    throw new Fault(this.#position, reason);
  }

  #members(close: "}" | "]", depth: number): void {
    this.#position += 1;
    this.#take(SPACE);
    if (this.#accept(close)) return;
    for (;;) {
      if (close === "}") this.#name();
      this.value(depth + 1);
      if (this.#accept(close)) return;
      const comma = this.#position;
      if (!this.#accept(",")) this.fail(`, or ${close} is expected${this.#found()}`);
      this.#take(SPACE);
      if (this.#next() === close) {
        this.#position = comma;
        this.fail(`the comma before ${close} is one too many`);
      }
    }
  }

  #name(): void {
    this.#take(SPACE);
    if (this.#next() !== '"') this.fail(`a name in double quotes is expected${this.#found()}`);
    this.#string();
    this.#take(SPACE);
    if (!this.#accept(":")) this.fail(`: is expected${this.#found()}`);
  }

  #string(): void {
    if (!this.#take(STRING))
      this.fail("the text in double quotes is not closed, or holds a line end or a wrong escape");
  }

  #found(): string {
    const next = this.#next();
    if (next === undefined) return ", but the file ends";
    if (next === "/" || next === "#") return "; JSON has no comments";
    if (next === "'") return ", in double quotes";
    return `, not ${JSON.stringify(next)}`;
  }

  #next(): string | undefined {
    const point = this.#text.codePointAt(this.#position);
    return point === undefined ? undefined : String.fromCodePoint(point);
  }

  #accept(character: string): boolean {
    if (this.#text[this.#position] !== character) return false;
    this.#position += 1;
    return true;
  }

  /** Whether something was there; white space always is. */
  #take(pattern: RegExp): boolean {
    pattern.lastIndex = this.#position;
    const match = pattern.exec(this.#text);
    if (match === null) return false;
    this.#position = pattern.lastIndex;
    return true;
  }
}
