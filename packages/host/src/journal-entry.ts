import type { HostMessageLine } from "@raworc/contract";

export interface EntryFile {
  append(line: string): { offset: number; bytes: number };
  read(offset: number, length: number): string;
}

/** `{"id":"…","line":` before the line, `}` and LF after it. */
const AFTER_LINE = 2;

/** The lines of one message's answer, by number. Those who follow it are woken by each new one. */
export class JournalEntry {
  readonly id: string;
  readonly #file: EntryFile;
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
    const { offset, bytes } = this.#file.append(text);
    this.#bytes += bytes;
    this.#push(text, offset, Buffer.byteLength(text), line.type);
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

  /** A record of a host before: `offset` of its line, `bytes` of the whole record. */
  restore(type: HostMessageLine["type"], { offset, bytes }: { offset: number; bytes: number }): void {
    const prefix = Buffer.byteLength(`{"id":${JSON.stringify(this.id)},"line":`);
    this.#offsets.push(offset);
    this.#lengths.push(bytes - prefix - AFTER_LINE);
    this.#bytes += bytes;
    this.#ended ||= type === "end";
  }

  /** The file was written anew; its lines lie elsewhere. */
  move(offsets: readonly number[]): void {
    this.#offsets.splice(0, this.#offsets.length, ...offsets);
    for (const [index, text] of this.#unwritten) this.#lengths[index] = Buffer.byteLength(text);
    this.#unwritten.clear();
  }

  #push(text: string, offset: number, length: number, type: HostMessageLine["type"]): void {
    this.#offsets.push(offset);
    this.#lengths.push(length);
    // An end can be megabytes long and stays for as long as it is not forgotten: it is read from the file.
    this.#last = type === "end" && offset !== -1 ? "" : text;
    this.#ended ||= type === "end";
    for (const follower of this.#followers) follower();
  }
}
