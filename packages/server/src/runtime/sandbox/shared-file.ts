import { readFile, rename, writeFile } from "node:fs/promises";

/**
 * Writes a file that several servers share and that a computer may be started with at this moment: it is whole at any
 * time, and stays the same file while its content does.
 */
export async function writeShared(path: string, content: string | Uint8Array): Promise<void> {
  const present = await readFile(path).catch(() => undefined);
  if (present?.equals(Buffer.from(content)) === true) return;
  const draft = `${path}.${process.pid}.new`;
  await writeFile(draft, content, { mode: 0o644 });
  await rename(draft, path);
}
