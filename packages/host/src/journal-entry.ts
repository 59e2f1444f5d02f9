import type { HostMessageLine } from "@raworc/contract";

export interface EntryFile {
  /** Where the record lies and how long it is. Throws DiskFullError, and leaves no half record then. */
  append(record: string): { offset: number; bytes: number };
  read(offset: number, length: number): string;
}

const AFTER_LINE = "}\n";
/** A last line that is longer is read from the file: it stays for as long as the message is not forgotten. */
const KEPT_LENGTH = 4096;

/** The lines of one message's answer, by number. Those who follow it are woken by each new one. */
export class JournalEntry {
  readonly id: string;
  readonly #file: EntryFile;
  /** A record is `{"id":…,"line":…}`; the line can be given as it lies in the file. */
  readonly #prefix: string;
  readonly #prefixBytes: number;
  readonly #offsets: number[] = [];
  readonly #lengths: number[] = [];
  readonly #followers = new Set<() => void>();
  /** Lines that found no space on the disk, by number. They live as long as the host. */
  readonly #unwritten = new Map<number, string>();
  #last = "";
  #ended = false;
  #bytes = 0;

  constructor(id: string, file: EntryFile) {
    this.id = id;
    this.#file = file;
    this.#prefix = `{"id":${JSON.stringify(id)},"line":`;
    this.#prefixBytes = Buffer.byteLength(this.#prefix);
  }

  get count(): number {
    return this.#offsets.length;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** In the file. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Throws DiskFullError, and then nobody has heard of the line. */
  append(line: HostMessageLine): void {
    const text = JSON.stringify(line);
    const { offset, bytes } = this.#file.append(this.record(text));
    this.#bytes += bytes;
    this.#push(text, offset + this.#prefixBytes, this.#lineBytes(bytes), line.type);
  }

  /** As a line is in the file. */
  record(line: string): string {
    return this.#prefix + line + AFTER_LINE;
  }

  /** The line is heard, and not on disk: there is no space for it. */
  appendUnwritten(line: HostMessageLine): void {
    const text = JSON.stringify(line);
    this.#unwritten.set(this.count, text);
    this.#push(text, -1, 0, line.type);
  }

  line(index: number): string {
    if (index === this.count - 1 && this.#last !== "") return this.#last;
    const unwritten = this.#unwritten.get(index);
    if (unwritten !== undefined) return unwritten;
    const offset = this.#offsets[index];
    const length = this.#lengths[index];
    if (offset === undefined || length === undefined) throw new RangeError(`Message ${this.id} has no line ${index}`);
    return this.#file.read(offset, length);
  }

  /** Calls back at each new line, until the function given back is called. */
  follow(onLine: () => void): () => void {
    this.#followers.add(onLine);
    return () => this.#followers.delete(onLine);
  }

  /** A record of a host before. */
  restore(type: HostMessageLine["type"], { offset, bytes }: { offset: number; bytes: number }): void {
    this.#offsets.push(offset + this.#prefixBytes);
    this.#lengths.push(this.#lineBytes(bytes));
    this.#bytes += bytes;
    this.#ended ||= type === "end";
  }

  /** The file was written anew; its records begin elsewhere. */
  move(offsets: readonly number[]): void {
    for (const [index, offset] of offsets.entries()) this.#offsets[index] = offset + this.#prefixBytes;
    for (const [index, text] of this.#unwritten) this.#lengths[index] = Buffer.byteLength(text);
    this.#unwritten.clear();
  }

  #lineBytes(recordBytes: number): number {
    return recordBytes - this.#prefixBytes - AFTER_LINE.length;
  }

  #push(text: string, offset: number, length: number, type: HostMessageLine["type"]): void {
    this.#offsets.push(offset);
    this.#lengths.push(length);
    this.#last = text.length <= KEPT_LENGTH || type !== "end" || offset === -1 ? text : "";
    this.#ended ||= type === "end";
    for (const follower of this.#followers) follower();
  }
}
