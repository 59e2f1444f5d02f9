const LF = 0x0a;

/** A line is longer than it may be. */
export class LineTooLongError extends Error {
  override readonly name = "LineTooLongError";
}

/**
 * Splits bytes at LF alone (a text may hold other ends of line). The function takes the next bytes and gives the lines
 * that they complete. Throws LineTooLongError.
 */
export function splitLines(maxBytes: number): (chunk: Buffer) => Buffer[] {
  let parts: Buffer[] = [];
  let length = 0;
  return (chunk) => {
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, start)) {
      const piece = chunk.subarray(start, end);
      length += piece.length;
      if (length > maxBytes) throw new LineTooLongError(`A line is longer than ${maxBytes} bytes`);
      lines.push(parts.length === 0 ? piece : Buffer.concat([...parts, piece], length));
      parts = [];
      length = 0;
      start = end + 1;
    }
    if (start < chunk.length) {
      parts.push(chunk.subarray(start));
      length += chunk.length - start;
      if (length > maxBytes) throw new LineTooLongError(`A line is longer than ${maxBytes} bytes`);
    }
    return lines;
  };
}
