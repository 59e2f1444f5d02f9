import { HttpError, type HttpHeaders, readHeaders } from "@raworc/contract";

/** Of a request: everything before its body. */
export interface HttpHead {
  readonly method: string;
  readonly target: string;
  readonly headers: HttpHeaders;
}

export const HEAD_MAX_BYTES = 64 * 1024;
const END = "\r\n\r\n";

/** The head at the beginning of the bytes, and how long it is; undefined when its end has not come. Throws HttpError. */
export function readHead(bytes: Buffer): { readonly head: HttpHead; readonly length: number } | undefined {
  const end = bytes.indexOf(END);
  if (end === -1 && bytes.length <= HEAD_MAX_BYTES) return undefined;
  if (end === -1 || end > HEAD_MAX_BYTES) throw new HttpError("A head is too long");
  const [first = "", ...lines] = bytes.toString("latin1", 0, end).split("\r\n");
  const [method = "", target = "", version] = first.split(" ");
  if (version !== "HTTP/1.1" || !target.startsWith("/")) throw new HttpError("No request of HTTP/1.1");
  return { head: { method, target, headers: readHeaders(lines) }, length: end + END.length };
}
