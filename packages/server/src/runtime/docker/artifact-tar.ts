import { Transform, type TransformCallback } from "node:stream";
import { DriverError } from "../driver.ts";
import { normalizeHeader, padded, readRecords, recordsEntry, TAR_BLOCK, tarSize, tarType } from "./tar-header.ts";

const EXTENSION_MAX = 1024 * 1024;
/** Files, hard and symbolic links, folders. */
const KEPT = new Set(["0", "1", "2", "5", "7"]);
/** Long names and extended headers of the next entry, extended headers of all. */
const EXTENSIONS = new Set(["L", "K", "x", "g"]);
/** Of extended headers. Owners and capabilities of files could come back by the others. */
const KEPT_RECORDS = new Set(["path", "linkpath", "size", "mtime"]);

/**
 * Makes a tar that comes out of a builder fit for sessions, as it streams by: everything is owned by root and readable by
 * all, nothing has setuid or is writable by others, and devices and pipes are left out. Fails where it is damaged or grows
 * beyond its limit.
 */
export class ArtifactTar extends Transform {
  readonly #maxBytes: number;
  #total = 0;
  #rest: Buffer = Buffer.alloc(0);
  /** Of an entry's content and padding, what is still to come. */
  #left = 0;
  #keeps = true;
  #ended = false;
  /** Content of an extension so far, while one is read. */
  #extension: { readonly header: Buffer; readonly pieces: Buffer[]; readonly size: number } | undefined;
  /** What belongs to the next entry. */
  #names: Buffer[] = [];
  #records = new Map<string, string>();

  constructor(maxBytes: number) {
    super();
    this.#maxBytes = maxBytes;
  }

  override _transform(piece: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    try {
      this.#total += piece.length;
      if (this.#total > this.#maxBytes) throw refusal(`is larger than ${Math.round(this.#maxBytes / 1e6)} MB`);
      this.#take(piece);
      done();
    } catch (error) {
      done(error instanceof DriverError ? error : refusal("is damaged", error));
    }
  }

  override _flush(done: TransformCallback): void {
    done(this.#ended ? null : new DriverError("The artifact broke off while it was read.", { transient: true }));
  }

  #take(piece: Buffer): void {
    let bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    this.#rest = Buffer.alloc(0);
    while (bytes.length > 0) {
      if (this.#ended) {
        // Padding up to a whole record; nothing that comes after the end is an entry.
        return;
      }
      if (this.#left > 0) {
        const part = bytes.subarray(0, this.#left);
        this.#left -= part.length;
        this.#content(part);
        bytes = bytes.subarray(part.length);
      } else if (bytes.length < TAR_BLOCK) {
        this.#rest = bytes;
        return;
      } else {
        this.#header(bytes.subarray(0, TAR_BLOCK));
        bytes = bytes.subarray(TAR_BLOCK);
      }
    }
  }

  #content(part: Buffer): void {
    if (this.#extension === undefined) {
      if (this.#keeps) this.push(part);
      return;
    }
    this.#extension.pieces.push(part);
    if (this.#left === 0) this.#extended();
  }

  #extended(): void {
    if (this.#extension === undefined) return;
    const { header, pieces, size } = this.#extension;
    this.#extension = undefined;
    const type = tarType(header);
    if (type === "L" || type === "K") this.#names.push(header, ...pieces);
    if (type !== "x") return;
    for (const [name, value] of readRecords(Buffer.concat(pieces).subarray(0, size))) {
      if (KEPT_RECORDS.has(name)) this.#records.set(name, value);
    }
  }

  #header(view: Buffer): void {
    const header = Buffer.from(view);
    if (header.every((byte) => byte === 0)) {
      this.#ended = true;
      this.push(Buffer.alloc(2 * TAR_BLOCK));
      return;
    }
    const type = tarType(header);
    const size = tarSize(header);
    if (EXTENSIONS.has(type)) {
      if (!(size >= 0 && size <= EXTENSION_MAX)) throw refusal("has a name that is too long");
      this.#left = padded(size);
      this.#extension = { header, pieces: [], size };
      if (this.#left === 0) this.#extended();
      return;
    }
    const real = Number(this.#records.get("size") ?? size);
    if (!Number.isSafeInteger(real) || real < 0) throw refusal("is damaged");
    // Links and folders have no content, whatever their header says.
    this.#left = type === "0" || type === "7" || !KEPT.has(type) ? padded(real) : 0;
    this.#keeps = KEPT.has(type);
    if (this.#keeps) {
      if (this.#records.size > 0) this.push(recordsEntry(this.#records));
      for (const name of this.#names) this.push(name);
      this.push(normalizeHeader(header));
    }
    this.#names = [];
    this.#records = new Map();
  }
}

function refusal(what: string, cause?: unknown): DriverError {
  return new DriverError(`The built agent can't be stored: it ${what}.`, { cause, transient: false });
}
