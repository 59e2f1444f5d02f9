import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { DiskFullError, isDiskFull } from "./disk-full.ts";
import { DiskSync } from "./disk-sync.ts";
import { JournalEntry } from "./journal-entry.ts";
import { readRecords } from "./journal-records.ts";

/** An empty journal is cut when it is this long: each cut costs a message's time. */
const CUT_BYTES = 1024 * 1024;
/** Forgotten records are cut out when they are this much and more than half of the file. */
const COMPACT_BYTES = 32 * 1024 * 1024;

/** Of records of what was forgotten. */
const UNWRITTEN_MAX = 64 * 1024;

const FORGET = JSON.stringify({ type: "forget" });

/**
 * What became of each message, on disk, so that a message runs once and its answer can be fetched again. One file of
 * records; the lines themselves are not kept in memory. A record is in the file before anybody hears of it.
 */
export class Journal {
  readonly #path: string;
  readonly #entries = new Map<string, JournalEntry>();
  #descriptor: number;
  #size = 0;
  #forgotten = 0;
  readonly #disk = new DiskSync();
  /** Records of what was forgotten, which go with the next line: nobody waits for them. */
  #unwritten = "";

  private constructor(path: string) {
    this.#path = path;
    this.#descriptor = openSync(path, "a+", 0o600);
  }

  /** Takes up what a host before left. */
  static open(path: string): Journal {
    const journal = new Journal(path);
    journal.#load();
    syncFolder(path);
    return journal;
  }

  entry(id: string): JournalEntry | undefined {
    return this.#entries.get(id);
  }

  /** Messages that have begun and have no end. */
  unfinished(): JournalEntry[] {
    return [...this.#entries.values()].filter((entry) => !entry.ended);
  }

  /** A new message. Nothing is written before its first line. */
  create(id: string): JournalEntry {
    const entry = new JournalEntry(id, {
      append: (record) => this.#append(record),
      read: (offset, length) => this.#read(offset, length),
    });
    this.#entries.set(id, entry);
    return entry;
  }

  /** All that was written before the call is on disk when it returns, or when what it gives resolves. */
  sync(): Promise<void> | undefined {
    return this.#disk.sync(() => this.#descriptor);
  }

  /** The control plane has recorded the end. A host after this one that knows it still harms nobody. */
  forget(entry: JournalEntry): void {
    this.#entries.delete(entry.id);
    this.#forgotten += entry.bytes;
    this.#unwritten += entry.record(FORGET);
    if (this.#entries.size === 0 && this.#size > CUT_BYTES) {
      ftruncateSync(this.#descriptor, 0);
      this.#size = 0;
      this.#forgotten = 0;
      this.#unwritten = "";
    } else if (this.#forgotten > COMPACT_BYTES && this.#forgotten > this.#size / 2) {
      try {
        this.#compact();
      } catch (error) {
        if (!isDiskFull(error)) throw error;
        rmSync(`${this.#path}.new`, { force: true });
      }
    } else if (this.#unwritten.length > UNWRITTEN_MAX) this.writeForgotten();
  }

  close(): void {
    this.writeForgotten();
    closeSync(this.#descriptor);
  }

  /** Does not wait for the next line. */
  writeForgotten(): void {
    try {
      if (this.#unwritten !== "") this.#append("");
    } catch (error) {
      if (!isDiskFull(error)) throw error;
    }
  }

  /** Where the record lies in the file. */
  #append(record: string): { offset: number; bytes: number } {
    const before = Buffer.byteLength(this.#unwritten);
    const bytes = Buffer.from(this.#unwritten + record);
    try {
      for (let written = 0; written < bytes.length; ) written += writeSync(this.#descriptor, bytes, written);
    } catch (error) {
      ftruncateSync(this.#descriptor, this.#size);
      throw isDiskFull(error) ? new DiskFullError(error) : error;
    }
    const offset = this.#size + before;
    this.#size += bytes.length;
    this.#forgotten += before;
    this.#unwritten = "";
    return { offset, bytes: bytes.length - before };
  }

  #read(offset: number, length: number): string {
    const buffer = Buffer.allocUnsafe(length);
    let read = 0;
    while (read < length) {
      const count = readSync(this.#descriptor, buffer, read, length - read, offset + read);
      if (count === 0) throw new Error("The journal is shorter than its records");
      read += count;
    }
    return buffer.toString("utf8");
  }

  #load(): void {
    const { size, records } = readRecords(this.#descriptor);
    ftruncateSync(this.#descriptor, size);
    this.#size = size;
    for (const { id, line, bytes } of records) {
      if (line.type === "forget") {
        this.#forgotten += (this.#entries.get(id)?.bytes ?? 0) + bytes.length;
        this.#entries.delete(id);
        continue;
      }
      const entry = this.#entries.get(id) ?? this.create(id);
      entry.restore(line.type, { offset: bytes.offset, bytes: bytes.length });
    }
  }

  #compact(): void {
    const draft = `${this.#path}.new`;
    const descriptor = openSync(draft, "w+", 0o600);
    const old = this.#descriptor;
    let size = 0;
    const moved: (() => void)[] = [];
    for (const entry of this.#entries.values()) {
      const offsets: number[] = [];
      for (let index = 0; index < entry.count; index += 1) {
        const record = Buffer.from(entry.record(entry.line(index)));
        writeSync(descriptor, record);
        offsets.push(size);
        size += record.length;
      }
      moved.push(() => entry.move(offsets));
    }
    fdatasyncSync(descriptor);
    renameSync(draft, this.#path);
    syncFolder(this.#path);
    for (const move of moved) move();
    this.#descriptor = descriptor;
    this.#size = size;
    this.#forgotten = 0;
    this.#unwritten = "";
    // Another thread may be putting the old file on disk.
    void this.#disk.idle().then(() => closeSync(old));
  }
}

function syncFolder(path: string): void {
  const folder = openSync(dirname(path), "r");
  fsyncSync(folder);
  closeSync(folder);
}
