import { readSync } from "node:fs";
import { splitLines } from "./line-frames.ts";

const TYPES = ["start", "delta", "end", "forget"] as const;

export interface JournalRecord {
  readonly id: string;
  readonly line: { readonly type: (typeof TYPES)[number] };
  readonly bytes: { readonly offset: number; readonly length: number };
}

/** Reads a journal up to its last whole record: what comes after was being written when the host died. */
export function readRecords(descriptor: number): { size: number; records: JournalRecord[] } {
  const records: JournalRecord[] = [];
  const chunk = Buffer.allocUnsafe(1024 * 1024);
  let position = 0;
  let size = 0;
  const lines = splitLines(Number.POSITIVE_INFINITY);
  for (let read = readSync(descriptor, chunk, 0, chunk.length, 0); read > 0; ) {
    position += read;
    for (const line of lines(Buffer.from(chunk.subarray(0, read)))) {
      const bytes = { offset: size, length: line.length + 1 };
      size += bytes.length;
      const record = parse(line.toString("utf8"));
      if (record !== undefined) records.push({ ...record, bytes });
    }
    read = readSync(descriptor, chunk, 0, chunk.length, position);
  }
  return { size, records };
}

/** Undefined for what no host wrote. */
function parse(text: string): Pick<JournalRecord, "id" | "line"> | undefined {
  try {
    const { id, line } = JSON.parse(text) as { id?: unknown; line?: { type?: unknown } };
    const type = line?.type;
    const known = TYPES.find((one) => one === type);
    return typeof id === "string" && known !== undefined ? { id, line: { type: known } } : undefined;
  } catch {
    return undefined;
  }
}
