import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };
const run = (program: string, ...words: string[]) => promisify(execFile)(program, words, { env });

/** Room to swap to that this machine has for a moment. */
export interface Swap {
  close(): Promise<void>;
}

/** Gives this machine room to swap to, in a file; undefined where that can't be done. Whoever gets it closes it. */
export async function openSwap(megabytes: number): Promise<Swap | undefined> {
  const directory = await mkdtemp(join(tmpdir(), "raworc-swap-"));
  const file = join(directory, "swap");
  const remove = () => rm(directory, { recursive: true, force: true });
  try {
    await run("fallocate", "--length", `${megabytes}M`, file);
    await run("chmod", "600", file);
    await run("mkswap", file);
    await run("swapon", file);
  } catch {
    await remove();
    return undefined;
  }
  return {
    async close() {
      await run("swapoff", file);
      await remove();
    },
  };
}
