/** Of a request: everything before its body. */
export interface HttpHead {
  readonly method: string;
  readonly target: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
}

export const HEAD_MAX_BYTES = 64 * 1024;
const END = "\r\n\r\n";

/** The other side speaks no HTTP that is understood here. */
export class HttpError extends Error {
  override readonly name = "HttpError";
}

/** The head at the beginning of the bytes, and how long it is; undefined when its end has not come. Throws HttpError. */
export function readHead(bytes: Buffer): { readonly head: HttpHead; readonly length: number } | undefined {
  const end = bytes.indexOf(END);
  if (end === -1 && bytes.length <= HEAD_MAX_BYTES) return undefined;
  if (end === -1 || end > HEAD_MAX_BYTES) throw new HttpError("A head is too long");
  const [first = "", ...lines] = bytes.toString("latin1", 0, end).split("\r\n");
  const [method = "", target = "", version] = first.split(" ");
  if (version !== "HTTP/1.1" || !target.startsWith("/")) throw new HttpError("No request of HTTP/1.1");
  const headers: Record<string, string> = Object.create(null);
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon < 1) throw new HttpError("A header without a name");
    const name = line.slice(0, colon).toLowerCase();
    if (name in headers) throw new HttpError(`The header ${name} comes twice`);
    headers[name] = line.slice(colon + 1).trim();
  }
  return { head: { method, target, headers }, length: end + END.length };
}
