import {
  closeSync,
  fdatasync,
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
import { promisify } from "node:util";
import type { HostMessageLine } from "@raworc/contract";
import { DiskFullError, isDiskFull } from "./disk-full.ts";
import { JournalEntry } from "./journal-entry.ts";
import { readRecords } from "./journal-records.ts";

const sync = promisify(fdatasync);
/** An empty journal is cut when it is this long: each cut costs a message's time. */
const CUT_BYTES = 1024 * 1024;
/** Forgotten records are cut out when they are this much and more than half of the file. */
const COMPACT_BYTES = 32 * 1024 * 1024;

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
  #syncing: Promise<void> | undefined;
  #nextSync: Promise<void> | undefined;

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
      append: (line) => this.#append(id, line),
      read: (offset, length) => this.#read(offset, length),
    });
    this.#entries.set(id, entry);
    return entry;
  }

  /** Resolves when all that was written before the call is on disk. Calls that wait together share one sync. */
  sync(): Promise<void> {
    if (this.#syncing === undefined) {
      const syncing = sync(this.#descriptor).finally(() => {
        this.#syncing = undefined;
      });
      this.#syncing = syncing;
      return syncing;
    }
    this.#nextSync ??= this.#syncing
      .catch(() => undefined)
      .then(() => {
        this.#nextSync = undefined;
        return this.sync();
      });
    return this.#nextSync;
  }

  /** The control plane has recorded the end. */
  forget(entry: JournalEntry): void {
    this.#entries.delete(entry.id);
    this.#forgotten += entry.bytes;
    try {
      this.#forgotten += this.#append(entry.id, FORGET).bytes;
    } catch (error) {
      // The next host knows it still, which harms nobody.
      if (!isDiskFull(error)) throw error;
    }
    if (this.#entries.size === 0 && this.#size > CUT_BYTES) {
      ftruncateSync(this.#descriptor, 0);
      this.#size = 0;
      this.#forgotten = 0;
    } else if (this.#forgotten > COMPACT_BYTES && this.#forgotten > this.#size / 2) {
      try {
        this.#compact();
      } catch (error) {
        if (!isDiskFull(error)) throw error;
        rmSync(`${this.#path}.new`, { force: true });
      }
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  /** Where the line lies in the file. Throws DiskFullError, and leaves no half record then. */
  #append(id: string, line: string): { offset: number; bytes: number } {
    const prefix = recordPrefix(id);
    const record = Buffer.from(`${prefix}${line}}\n`);
    try {
      for (let written = 0; written < record.length; ) written += writeSync(this.#descriptor, record, written);
    } catch (error) {
      ftruncateSync(this.#descriptor, this.#size);
      throw isDiskFull(error) ? new DiskFullError(error) : error;
    }
    const offset = this.#size + Buffer.byteLength(prefix);
    this.#size += record.length;
    return { offset, bytes: record.length };
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
      const prefix = Buffer.byteLength(recordPrefix(id));
      const entry = this.#entries.get(id) ?? this.create(id);
      entry.restore(line.type, { offset: bytes.offset + prefix, bytes: bytes.length });
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
        const prefix = recordPrefix(entry.id);
        const record = Buffer.from(`${prefix}${entry.line(index)}}\n`);
        writeSync(descriptor, record);
        offsets.push(size + Buffer.byteLength(prefix));
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
    closeSync(old);
  }
}

/** A record is `{"id":…,"line":…}`; the line can be given as it lies in the file. */
function recordPrefix(id: string): string {
  return `{"id":${JSON.stringify(id)},"line":`;
}

function syncFolder(path: string): void {
  const folder = openSync(dirname(path), "r");
  fsyncSync(folder);
  closeSync(folder);
}

export type LineType = HostMessageLine["type"];
