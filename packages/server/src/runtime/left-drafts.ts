import { existsSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";

/** Removes drafts of servers that were killed: `name` matches theirs, its group is the number of the process. */
export async function removeLeftDrafts(folder: string, name: RegExp): Promise<void> {
  for (const entry of await readdir(folder)) {
    const pid = name.exec(entry)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`))
      await rm(join(folder, entry), { recursive: true, force: true });
  }
}
