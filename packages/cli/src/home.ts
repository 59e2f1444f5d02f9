import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { z } from "zod";
import { CommandFailure } from "./failure.ts";

/** Reads a JSON file of ours; undefined where there is none. Throws CommandFailure for one that is broken. */
export async function readState<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
): Promise<z.output<Schema> | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new CommandFailure(`${path} can't be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    throw new CommandFailure(`${path} is not what raworc writes there.`, [`remove it and try again: rm ${path}`]);
  }
}

/** Writes a JSON file that only its owner may read; it is there as a whole or not at all. */
export async function writeState(path: string, value: unknown): Promise<void> {
  await makeFolder(dirname(path));
  const draft = `${path}.${randomUUID()}`;
  try {
    const file = await open(draft, "wx", 0o600);
    try {
      await file.writeFile(`${JSON.stringify(value, null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw new CommandFailure(`${path} can't be written: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Makes a folder that only its owner may enter. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new CommandFailure(`${path} can't be made: ${error instanceof Error ? error.message : String(error)}`, [
      "set RAWORC_HOME to a folder that you may write",
    ]);
  }
}
