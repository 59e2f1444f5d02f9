import { createHash } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { cp, lstat, mkdir, readdir, rename, rm, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Logger } from "pino";
import { removeLeftDrafts } from "../left-drafts.ts";
import type { EtcFiles } from "./etc-files.ts";
import { runProgram } from "./programs.ts";
import { words } from "./shell.ts";

const COPY = ["cp", "-R", "--no-dereference", "--preserve=mode,links,timestamps", "--parents"];

/**
 * One folder for the whole of a computer's `/etc`: to mount its thirty parts one by one takes bubblewrap longer than all the
 * rest. What is the machine's own is copied, and copied anew when the machine has changed it.
 */
export class EtcFolder {
  readonly #parent: string;
  readonly #files: EtcFiles;
  readonly #log: Logger;
  readonly #etc: string;
  #made: { readonly stamp: string; readonly folder: Promise<string | null> } | undefined;

  /** `parent` is where the folders are; those of before stay, for computers that run with them. */
  constructor(parent: string, files: EtcFiles, log: Logger, etc = "/etc") {
    this.#etc = etc;
    this.#parent = parent;
    this.#files = files;
    this.#log = log;
  }

  /** Removes drafts of servers that were killed. */
  open(): Promise<void> {
    return removeLeftDrafts(this.#parent, /^etc-[0-9a-f]+\.(\d+)\.new$/);
  }

  /** As the machine is now. Null where something can't be copied: then the parts are to be mounted. */
  current(): Promise<string | null> {
    const stamp = this.#stamp();
    if (this.#made?.stamp !== stamp) this.#made = { stamp, folder: this.#make() };
    return this.#made.folder;
  }

  /** Changes with whatever is added, removed or replaced at the top of what is taken. At once: a session waits for it. */
  #stamp(): string {
    return this.#files.taken
      .map((name) => {
        const found = statSync(join(this.#etc, name), { throwIfNoEntry: false });
        return `${found?.ino} ${found?.mtimeMs} ${found?.size}`;
      })
      .join("\n");
  }

  async #make(): Promise<string | null> {
    const folder = join(this.#parent, await this.#name());
    if (existsSync(folder)) return folder;
    const draft = `${folder}.${process.pid}.new`;
    try {
      await rm(draft, { recursive: true, force: true });
      await mkdir(draft, { recursive: true, mode: 0o755 });
      const taken = `cd ${words(this.#etc)} && ${words(...COPY, ...this.#files.taken, draft)}`;
      const { ok, complaint } = await runProgram(["sh", "-c", taken]);
      if (!ok) throw new Error(complaint);
      await cp(this.#files.directory, draft, { recursive: true });
      for (const [name, to] of Object.entries(this.#files.links)) {
        await mkdir(dirname(join(draft, name)), { recursive: true });
        await symlink(to, join(draft, name));
      }
      // Another server may be first: it has made the same.
      await rename(draft, folder).catch((error: unknown) => {
        if (!existsSync(folder)) throw error;
      });
      return folder;
    } catch (error) {
      this.#log.info({ err: error }, "the machine's /etc can't be copied for computers; its parts are mounted instead");
      return null;
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
  }

  /** Two servers of an installation find the same name for the same content. */
  async #name(): Promise<string> {
    const hash = createHash("sha256").update(JSON.stringify([this.#files.made, this.#files.links]));
    const paths = [...this.#files.taken.map((name) => join(this.#etc, name)), this.#files.directory];
    for (const path of paths) {
      const entries = statSync(path).isDirectory() ? await readdir(path, { recursive: true }) : [];
      for (const entry of ["", ...entries.sort()]) {
        const { ino, mtimeMs, size } = await lstat(join(path, entry));
        hash.update(`${path} ${entry} ${ino} ${mtimeMs} ${size}\n`);
      }
    }
    return `etc-${hash.digest("hex").slice(0, 16)}`;
  }
}
