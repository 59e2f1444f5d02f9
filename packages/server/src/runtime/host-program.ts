import { access, chmod, cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** What runs in computers as the host, on this machine. */
export interface HostProgram {
  /** Holds `host.mjs` and `adapters/`. Never changes: another version gets a folder of its own. */
  readonly directory: string;
  /** Hash over the content. */
  readonly hash: string;
}

const HASH_FILE = "hash";
const SHIPPED = fileURLToPath(new URL("../../../host/dist", import.meta.url));
const BUNDLER = new URL("../../../host/bundle.ts", import.meta.url);

/**
 * Puts the host's program where computers can be started with it. Computers live on through an update of the control
 * plane, so each version has a folder of its own. In a checkout it is bundled from the sources as they are now.
 */
export async function ensureHostProgram(dataDirectory: string): Promise<HostProgram> {
  const parent = join(dataDirectory, "host");
  await mkdir(parent, { recursive: true, mode: 0o755 });
  const draft = await mkdtemp(join(parent, "draft-"));
  try {
    const hash = await produce(draft);
    const directory = join(parent, hash);
    if (!(await exists(directory))) {
      await writeFile(join(draft, HASH_FILE), hash);
      // Two servers may do this at once: one rename wins, the other finds a folder that is not empty.
      await rename(draft, directory).catch(async (error: unknown) => {
        if (!(await exists(directory))) throw error;
      });
    }
    return { directory, hash };
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function produce(directory: string): Promise<string> {
  if (await exists(fileURLToPath(BUNDLER))) {
    const { bundleHost } = (await import(BUNDLER.href)) as {
      bundleHost: (directory: string) => Promise<{ readonly hash: string }>;
    };
    return (await bundleHost(directory)).hash;
  }
  await cp(SHIPPED, directory, { recursive: true });
  // Agents read their adapters there, as another user than this one.
  await chmod(directory, 0o755);
  return (await readFile(join(SHIPPED, HASH_FILE), "utf8")).trim();
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
