import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DriverError } from "../driver.ts";
import { ArtifactTar } from "./artifact-tar.ts";
import { readRecords, recordsEntry, TAR_BLOCK, TAR_END, tarEntry } from "./tar-header.ts";

async function pass(tar: Buffer, pieceBytes = tar.length, maxBytes = 2 ** 30): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let at = 0; at < tar.length; at += pieceBytes) pieces.push(tar.subarray(at, at + pieceBytes));
  return buffer(Readable.from(pieces).compose(new ArtifactTar(maxBytes)));
}

describe("ArtifactTar", () => {
  let directory: string;
  const long = `${"deep/".repeat(30)}${"n".repeat(120)}`;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "raworc-tar-"));
    const from = join(directory, "from");
    mkdirSync(join(from, long, ".."), { recursive: true });
    mkdirSync(join(from, "closed"), { mode: 0o700 });
    writeFileSync(join(from, long), "long");
    writeFileSync(join(from, "closed/secret"), "closed", { mode: 0o600 });
    writeFileSync(join(from, "run"), "#!/bin/sh\n");
    chmodSync(join(from, "run"), 0o6777);
    writeFileSync(join(from, "big"), Buffer.alloc(300_000, 7));
    symlinkSync("/etc/shadow", join(from, "link"));
    execFileSync("mkfifo", [join(from, "pipe")]);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const listed = (tar: Buffer): string =>
    execFileSync("tar", ["--list", "--verbose", "--numeric-owner", "-f", "-"], { input: tar, encoding: "utf8" });

  it.each(["pax", "gnu"])("makes %s archives of real files fit for sessions", async (format) => {
    const words = ["-C", join(directory, "from"), `--format=${format}`, "--owner=1000", "--group=1000", "-c", "."];
    const tar = execFileSync("tar", words, { maxBuffer: 2 ** 30 });
    // Pieces that end anywhere in headers and contents.
    const passed = await pass(tar, 777);
    const lines = listed(passed).trimEnd().split("\n");
    expect(lines.every((line) => / 0\/0 /.test(line))).toBe(true);
    expect(lines.map((line) => line.slice(0, 10)).sort()).toEqual(
      [...Array(32).fill("drwxr-xr-x"), "-rwxr-xr-x", ...Array(3).fill("-rw-r--r--"), "lrwxr-xr-x"].sort(),
    );
    const to = join(directory, `to-${format}`);
    mkdirSync(to);
    execFileSync("tar", ["-C", to, "-x", "-f", "-"], { input: passed });
    expect(readFileSync(join(to, long), "utf8")).toBe("long");
    expect(readFileSync(join(to, "closed/secret"), "utf8")).toBe("closed");
    expect(readFileSync(join(to, "big")).equals(Buffer.alloc(300_000, 7))).toBe(true);
  });

  it("drops capabilities and owners that extended headers bring back", async () => {
    const records = new Map([
      ["SCHILY.xattr.security.capability", "all"],
      ["uid", "1000"],
      ["path", "named"],
    ]);
    const tar = Buffer.concat([recordsEntry(records), tarEntry("file", Buffer.from("content")), TAR_END]);
    const passed = await pass(tar);
    expect(passed.includes("SCHILY")).toBe(false);
    expect(passed.includes("uid=")).toBe(false);
    expect(listed(passed)).toMatch(/ named$/m);
  });

  it("leaves out devices with what follows from them", async () => {
    const tar = Buffer.concat([
      tarEntry("disk", Buffer.alloc(0), "3"),
      tarEntry("tty", Buffer.alloc(0), "4"),
      tarEntry("file", Buffer.from("x")),
      TAR_END,
    ]);
    expect(
      listed(await pass(tar))
        .trim()
        .split("\n"),
    ).toHaveLength(1);
  });

  it("refuses what is larger than it may be, damaged or broken off", async () => {
    const entry = tarEntry("file", Buffer.alloc(10_000));
    await expect(pass(Buffer.concat([entry, TAR_END]), 4096, 5000)).rejects.toThrow(/larger/);
    await expect(pass(entry)).rejects.toThrow(/broke off/);
    const bad = Buffer.from(entry);
    bad.write("zzzz", 124);
    await expect(pass(Buffer.concat([bad, TAR_END]))).rejects.toThrow(DriverError);
    const name = tarEntry("x", Buffer.from("not a record"), "x");
    await expect(pass(Buffer.concat([name, entry, TAR_END]))).rejects.toThrow(/damaged/);
    const huge = tarEntry("x", Buffer.alloc(0), "x");
    huge.write("77777777777", 124);
    await expect(pass(Buffer.concat([huge, TAR_END]))).rejects.toThrow(/too long/);
  });
});

describe("records of extended headers", () => {
  it("are written as they are read, where the length's own length grows too", () => {
    for (let length = 80; length < 110; length += 1) {
      const records = new Map([["path", "p".repeat(length)]]);
      const entry = recordsEntry(records);
      expect(readRecords(entry.subarray(TAR_BLOCK))).toEqual(records);
    }
  });
});
