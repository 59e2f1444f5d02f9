import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readLocalReference } from "./local-reference.ts";
import { accessSource } from "./source-access.ts";

const root = mkdtempSync(join(tmpdir(), "raworc-reference-"));
const repository = join(root, "repository");
const git = (...words: string[]): string =>
  execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@localhost", ...words], { encoding: "utf8" }).trim();
const here = (...words: string[]) => git("-C", repository, ...words);
const access = (path: string) => accessSource({ kind: "local", path, name: path });
const read = async (branch: string | null, path = repository) => {
  const { local } = await access(path);
  if (local === null) throw new Error("A local source");
  return readLocalReference(local, branch);
};

beforeAll(() => {
  git("init", "--quiet", "--initial-branch=main", repository);
  here("commit", "--quiet", "--allow-empty", "--message", "one");
  here("branch", "feature/one");
  here("tag", "--annotate", "--message", "a tag", "v1");
  here("worktree", "add", "--quiet", "-b", "other", join(root, "other"));
  git("clone", "--quiet", "--bare", repository, join(root, "bare.git"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe("readLocalReference", () => {
  it("finds branches as git does, loose and packed", async () => {
    const commit = here("rev-parse", "HEAD");
    for (const pack of [false, true]) {
      if (pack) here("pack-refs", "--all");
      expect(await read(null)).toEqual({ commit, reference: "refs/heads/main" });
      expect(await read("feature/one")).toEqual({ commit, reference: "refs/heads/feature/one" });
      expect(await read("refs/heads/main")).toEqual({ commit, reference: "refs/heads/main" });
    }
    expect(await read(null, join(root, "other"))).toEqual({ commit, reference: "refs/heads/other" });
    expect(await read(null, join(root, "bare.git"))).toEqual({ commit, reference: "refs/heads/main" });
  });

  it("leaves to git what it can't tell", async () => {
    expect(await read("v1")).toBeUndefined();
    expect(await read("absent")).toBeUndefined();
    expect(await read("refs/tags/v1")).toBeUndefined();
  });

  it("never reads outside, however a name or file tries", async () => {
    const secret = join(root, "secret");
    writeFileSync(secret, `${"a".repeat(40)}\n`);
    const file = join(repository, ".git/refs/heads/link");
    symlinkSync(secret, file);
    expect(await read("link")).toBeUndefined();
    unlinkSync(file);
    execFileSync("mkfifo", [file]);
    expect(await read("link")).toBeUndefined();
    unlinkSync(file);
    for (const name of ["../../../secret", "a/../../x", ".hidden", "a//b"]) expect(await read(name)).toBeUndefined();
  });

  it("follows a commit", async () => {
    here("commit", "--quiet", "--allow-empty", "--message", "two");
    expect(await read(null)).toEqual({ commit: here("rev-parse", "HEAD"), reference: "refs/heads/main" });
    here("checkout", "--quiet", "--detach");
    expect(await read(null)).toEqual({ commit: here("rev-parse", "HEAD"), reference: null });
  });
});

describe("accessSource", () => {
  it("gives git's own folder and no working files", async () => {
    expect(await access(repository)).toMatchObject({
      address: "/source",
      mounts: [{ source: join(repository, ".git"), target: "/source" }],
    });
    expect(await access(join(root, "other"))).toMatchObject({
      address: "/source/worktrees/other",
      mounts: [{ source: join(repository, ".git"), target: "/source" }],
    });
  });

  it.each([
    ["absent", /no folder/],
    ["repository/.git/refs", /folder within the repository/],
    ["", /no git repository/],
  ])("says what to do about %j", async (path, hint) => {
    await expect(access(join(root, path))).rejects.toThrow(hint);
  });
});
