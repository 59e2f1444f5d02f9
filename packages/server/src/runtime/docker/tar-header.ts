export const TAR_BLOCK = 512;
const CHECKSUM = { start: 148, end: 156 };
const TYPE_AT = 156;

export type TarRecords = ReadonlyMap<string, string>;

export function tarType(header: Buffer): string {
  const type = String.fromCharCode(header[TYPE_AT] ?? 0);
  return type === "\0" ? "0" : type;
}

export function tarSize(header: Buffer): number {
  return readNumber(header.subarray(124, 136));
}

export function padded(size: number): number {
  return Math.ceil(size / TAR_BLOCK) * TAR_BLOCK;
}

/** Owned by root, readable by all and writable by its owner alone, nothing of setuid, setgid and sticky. */
export function normalizeHeader(header: Buffer): Buffer {
  const mode = readNumber(header.subarray(100, 108));
  const isFolder = tarType(header) === "5";
  const runs = isFolder || (mode & 0o111) !== 0;
  const normal = Buffer.from(header);
  writeOctal(normal, 100, 8, runs ? 0o755 : 0o644);
  writeOctal(normal, 108, 8, 0);
  writeOctal(normal, 116, 8, 0);
  normal.fill(0, 265, 329);
  return withChecksum(normal);
}

/** An entry whole: header, content, padding. */
export function tarEntry(name: string, content: Buffer, type = "0"): Buffer {
  const header = Buffer.alloc(TAR_BLOCK);
  header.write(name, 0, 100, "utf8");
  writeOctal(header, 100, 8, 0o644);
  writeOctal(header, 108, 8, 0);
  writeOctal(header, 116, 8, 0);
  writeOctal(header, 124, 12, content.length);
  writeOctal(header, 136, 12, 0);
  header.write(type, TYPE_AT, 1, "latin1");
  header.write("ustar\0" + "00", 257, 8, "latin1");
  return Buffer.concat([withChecksum(header), content, Buffer.alloc(padded(content.length) - content.length)]);
}

/** Two empty blocks. */
export const TAR_END = Buffer.alloc(2 * TAR_BLOCK);

/** Records of an extended header: `length name=value\n`. Throws RangeError where they are damaged. */
export function readRecords(content: Buffer): TarRecords {
  const records = new Map<string, string>();
  for (let at = 0; at < content.length && content[at] !== 0; ) {
    const space = content.indexOf(0x20, at);
    const length = Number(content.toString("latin1", at, space));
    const record = content.toString("utf8", space + 1, at + length - 1);
    const equals = record.indexOf("=");
    if (space === -1 || !(length > 0) || at + length > content.length || equals === -1) throw new RangeError("damaged");
    records.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  return records;
}

export function recordsEntry(records: TarRecords): Buffer {
  const lines = [...records].map(([name, value]) => {
    const rest = Buffer.byteLength(` ${name}=${value}\n`);
    let length = rest + String(rest).length;
    if (rest + String(length).length !== length) length = rest + String(length).length;
    return `${length} ${name}=${value}\n`;
  });
  return tarEntry("PaxHeaders/next", Buffer.from(lines.join("")), "x");
}

/** Octal text, or for large ones a number of base 256 with the first bit set. NaN where it is neither. */
function readNumber(field: Buffer): number {
  if (((field[0] ?? 0) & 0x80) === 0) {
    const text = field
      .toString("latin1")
      .replace(/[\0 ]+$/, "")
      .trim();
    return /^[0-7]*$/.test(text) ? Number.parseInt(text || "0", 8) : Number.NaN;
  }
  return field.subarray(1).reduce((sum, byte) => sum * 256 + byte, 0);
}

function writeOctal(header: Buffer, at: number, length: number, value: number): void {
  header.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, length, "latin1");
}

function withChecksum(header: Buffer): Buffer {
  header.fill(0x20, CHECKSUM.start, CHECKSUM.end);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, CHECKSUM.start, 8, "latin1");
  return header;
}
