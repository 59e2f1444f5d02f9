import type { Readable } from "node:stream";

/** Lines of a stream of text. Only LF ends a line, with a CR before it taken off; a last line may be without. */
export async function* textLines(source: Readable | AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest: string[] = [];
  for await (const chunk of source as AsyncIterable<Uint8Array | string>) {
    const text = typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
    const pieces = text.split("\n");
    for (const piece of pieces.slice(0, -1)) {
      yield [...rest, piece].join("").replace(/\r$/, "");
      rest = [];
    }
    rest.push(pieces.at(-1) ?? "");
  }
  const last = rest.join("") + decoder.decode();
  if (last !== "") yield last.replace(/\r$/, "");
}

export async function readAll(source: Readable): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(typeof chunk === "string" ? Buffer.from(chunk) : (chunk as Uint8Array));
  return Buffer.concat(chunks).toString("utf8");
}
