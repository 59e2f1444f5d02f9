import { isUtf8 } from "node:buffer";

export interface OutputPiece {
  readonly data: string;
  readonly encoding: "utf-8" | "base64";
}

/** Bytes of UTF-8 that a character may lack at the end of a chunk. */
const INCOMPLETE_MAX = 3;

/** Turns a stream of bytes into texts, and into base64 where it is no text. Characters are not cut in two. */
export class OutputEncoder {
  #carried: Buffer = Buffer.alloc(0);

  encode(chunk: Buffer): OutputPiece[] {
    const bytes = this.#carried.length === 0 ? chunk : Buffer.concat([this.#carried, chunk]);
    const end = bytes.length - incompleteBytes(bytes);
    this.#carried = Buffer.from(bytes.subarray(end));
    const whole = bytes.subarray(0, end);
    if (whole.length === 0) return [];
    if (isUtf8(whole)) return [{ data: whole.toString("utf8"), encoding: "utf-8" }];
    this.#carried = Buffer.alloc(0);
    return [{ data: bytes.toString("base64"), encoding: "base64" }];
  }

  /** What was held back, when nothing more comes. */
  flush(): OutputPiece[] {
    const rest = this.#carried;
    this.#carried = Buffer.alloc(0);
    return rest.length === 0 ? [] : [{ data: rest.toString("base64"), encoding: "base64" }];
  }
}

/** How many bytes at the end begin a character that is not complete. */
export function incompleteBytes(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(INCOMPLETE_MAX, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}
