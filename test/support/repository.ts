import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** A git repository in a folder that is thrown away, readable by builders. */
export class Repository {
  readonly path = mkdtempSync(join(tmpdir(), "raworc-repository-"));

  constructor(files: Readonly<Record<string, string>>) {
    execFileSync("chmod", ["755", this.path]);
    this.#git("init", "--quiet", "--initial-branch=main");
    this.commit(files);
  }

  /** Writes files, commits all, and gives the commit's hash. */
  commit(files: Readonly<Record<string, string>>): string {
    for (const [name, content] of Object.entries(files)) {
      const path = join(this.path, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, content);
    }
    this.#git("add", "--all");
    this.#git("-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "--quiet", "-m", "Change");
    return this.#git("rev-parse", "HEAD");
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  #git(...parameters: string[]): string {
    return execFileSync("git", ["-C", this.path, ...parameters], { encoding: "utf8" }).trim();
  }
}
