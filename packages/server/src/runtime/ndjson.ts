/** A stream of lines that is longer than it may be or is no JSON. Sessions are hostile: this is their doing. */
export class LineError extends Error {
  override readonly name = "LineError";
}

const LF = 0x0a;

/** Values of a stream of LF-ended JSON lines. Throws LineError; a last line without its end is a stream that broke off. */
export async function* readJsonLines(pieces: AsyncIterable<Buffer>, lineMaxBytes: number): AsyncGenerator<unknown> {
  let parts: Buffer[] = [];
  let length = 0;
  for await (const piece of pieces) {
    let start = 0;
    for (let end = piece.indexOf(LF); end !== -1; end = piece.indexOf(LF, start)) {
      parts.push(piece.subarray(start, end));
      length += end - start;
      if (length > lineMaxBytes) throw new LineError(`A line is longer than ${lineMaxBytes} bytes`);
      const text = (parts.length === 1 ? parts[0] : Buffer.concat(parts, length))?.toString("utf8") ?? "";
      parts = [];
      length = 0;
      start = end + 1;
      if (text !== "") yield parse(text);
    }
    if (start < piece.length) {
      parts.push(piece.subarray(start));
      length += piece.length - start;
      if (length > lineMaxBytes) throw new LineError(`A line is longer than ${lineMaxBytes} bytes`);
    }
  }
  if (length > 0) throw new LineError("The stream broke off in the middle of a line");
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new LineError("A line is no JSON", { cause: error });
  }
}
