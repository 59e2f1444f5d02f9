import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { removeLeftDrafts } from "./left-drafts.ts";

test("drafts of processes that have ended go, and nothing else", async () => {
  const folder = await mkdtemp(join(tmpdir(), "raworc-drafts-"));
  try {
    const { pid: ended } = spawnSync("true");
    const kept = [`draft-${process.pid}-1`, "draft-none", `other-${ended}-1`];
    for (const name of kept) await writeFile(join(folder, name), "");
    await mkdir(join(folder, `draft-${ended}-1`, "inner"), { recursive: true });
    await removeLeftDrafts(folder, /^draft-(\d+)-/);
    expect((await readdir(folder)).sort()).toEqual(kept.sort());
  } finally {
    await rm(folder, { recursive: true });
  }
});
