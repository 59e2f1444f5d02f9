/** What the other side says is no HTTP/1.1 as the two ends of a host's socket speak it. */
export class HttpError extends Error {
  override readonly name = "HttpError";
}

/** Names in lower case. */
export type HttpHeaders = Readonly<Record<string, string | undefined>>;

/** The lines of a head behind its first. Throws HttpError. */
export function readHeaders(lines: readonly string[]): HttpHeaders {
  const headers: Record<string, string> = Object.create(null);
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon < 1) throw new HttpError("A header without a name");
    const name = line.slice(0, colon).toLowerCase();
    if (name in headers) throw new HttpError(`The header ${name} comes twice`);
    headers[name] = line.slice(colon + 1).trim();
  }
  return headers;
}

/** Longest line that tells of a chunk. */
const LINE_MAX_BYTES = 1024;

/**
 * Finds a body in the bytes after a head. Each call takes the next bytes, hands on what is of the body, and gives what came
 * after its end; undefined when the end has not come. Throws HttpError.
 */
export type BodyReader = (bytes: Buffer, onPiece: (piece: Buffer) => void) => Buffer | undefined;

export function bodyReader(headers: HttpHeaders): BodyReader {
  const coding = headers["transfer-encoding"];
  const length = headers["content-length"];
  if (coding === undefined) return readLength(length === undefined ? 0 : parseLength(length, 10));
  if (coding.toLowerCase() !== "chunked" || length !== undefined) throw new HttpError("The body's length is unclear");
  return readChunks();
}

function readLength(length: number): BodyReader {
  let left = length;
  return (bytes, onPiece) => {
    const piece = bytes.subarray(0, left);
    left -= piece.length;
    if (piece.length > 0) onPiece(piece);
    return left === 0 ? bytes.subarray(piece.length) : undefined;
  };
}

function readChunks(): BodyReader {
  let held: Buffer = Buffer.alloc(0);
  /** Of the chunk at hand; undefined between two. */
  let left: number | undefined;
  let trailer = false;
  return (bytes, onPiece) => {
    let rest = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
    held = Buffer.alloc(0);
    for (;;) {
      if (left !== undefined && left > 0) {
        const piece = rest.subarray(0, left);
        left -= piece.length;
        if (piece.length > 0) onPiece(piece);
        rest = rest.subarray(piece.length);
        if (left > 0) return undefined;
      }
      const end = rest.indexOf("\r\n");
      if (end === -1 && rest.length > LINE_MAX_BYTES) throw new HttpError("A chunk's line is too long");
      if (end === -1) {
        held = rest;
        return undefined;
      }
      const line = rest.toString("latin1", 0, end);
      rest = rest.subarray(end + 2);
      if (trailer) {
        if (line === "") return rest;
      } else if (left === undefined) {
        left = parseLength(line.split(";", 1)[0] ?? "", 16);
        trailer = left === 0;
      } else if (line === "") left = undefined;
      else throw new HttpError("A chunk is longer than it said");
    }
  };
}

function parseLength(text: string, radix: 10 | 16): number {
  const digits = radix === 10 ? /^\d{1,15}$/ : /^[\da-f]{1,12}$/i;
  if (!digits.test(text.trim())) throw new HttpError("A length is no number");
  return Number.parseInt(text, radix);
}
