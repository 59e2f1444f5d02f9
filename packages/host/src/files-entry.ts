import type { BigIntStats, Stats } from "node:fs";
import type { FileEntry, FileType } from "@raworc/contract";

export function describeFile(name: string, stat: Stats): FileEntry {
  return {
    name,
    type: typeOf(stat),
    size: stat.size,
    mode: (stat.mode & 0o7777).toString(8).padStart(4, "0"),
    modified_at: timeOf(stat.mtimeMs),
  };
}

function typeOf(stat: Stats): FileType {
  if (stat.isFile()) return "file";
  if (stat.isDirectory()) return "directory";
  return stat.isSymbolicLink() ? "link" : "other";
}

/** Agents may date files as they like, also where no date can be written. */
function timeOf(milliseconds: number): string {
  const limit = 253_402_300_799_999;
  return new Date(Math.min(Math.max(milliseconds, 0), limit)).toISOString();
}

/** Changes when the file is replaced or written. */
export function etagOf(stat: BigIntStats): string {
  return `"${[stat.ino, stat.size, stat.mtimeNs].map((part) => BigInt.asUintN(64, part).toString(36)).join("-")}"`;
}

/** Whether a header that lists tags names this one; `*` names all. */
export function namesTag(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  return (
    header.trim() === "*" || (header.match(/(W\/)?"[^"]*"/g) ?? []).some((named) => named.replace("W/", "") === tag)
  );
}
