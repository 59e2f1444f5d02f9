/** A stream of lines that is longer than it may be or is no JSON. Sessions are hostile: this is their doing. */
export class LineError extends Error {
  override readonly name = "LineError";
}

const LF = 0x0a;

/** Takes LF-ended JSON lines out of the bytes of a stream. */
export class JsonLines {
  readonly #lineMaxBytes: number;
  #parts: Buffer[] = [];
  #length = 0;

  constructor(lineMaxBytes: number) {
    this.#lineMaxBytes = lineMaxBytes;
  }

  /** The values of the lines that end in the next bytes. Throws LineError. */
  *take(piece: Buffer): Generator<unknown> {
    let start = 0;
    for (let end = piece.indexOf(LF); end !== -1; end = piece.indexOf(LF, start)) {
      this.#add(piece.subarray(start, end));
      const [first] = this.#parts;
      const text =
        (this.#parts.length === 1 ? first : Buffer.concat(this.#parts, this.#length))?.toString("utf8") ?? "";
      this.#parts = [];
      this.#length = 0;
      start = end + 1;
      if (text !== "") yield parse(text);
    }
    if (start < piece.length) this.#add(piece.subarray(start));
  }

  /** The stream has ended. A last line without its end is one that broke off: throws LineError. */
  end(): void {
    if (this.#length > 0) throw new LineError("The stream broke off in the middle of a line");
  }

  #add(bytes: Buffer): void {
    this.#parts.push(bytes);
    this.#length += bytes.length;
    if (this.#length > this.#lineMaxBytes) throw new LineError(`A line is longer than ${this.#lineMaxBytes} bytes`);
  }
}

/** Values of a stream of LF-ended JSON lines. Throws LineError. */
export async function* readJsonLines(pieces: AsyncIterable<Buffer>, lineMaxBytes: number): AsyncGenerator<unknown> {
  const lines = new JsonLines(lineMaxBytes);
  for await (const piece of pieces) yield* lines.take(piece);
  lines.end();
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new LineError("A line is no JSON", { cause: error });
  }
}
