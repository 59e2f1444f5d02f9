import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Network } from "@raworc/contract";
import { z } from "zod";
import { ProcessIdentity } from "./process-identity.ts";

/**
 * What is known of a computer, kept in its folder. The monitor is bubblewrap's outer process: it is noted before anything
 * runs inside, and ends after everything inside. Process 1 can be found as its child.
 */
export const ComputerRecord = z.object({
  kind: z.enum(["session", "builder"]),
  network: Network,
  monitor: ProcessIdentity.nullable(),
  init: ProcessIdentity.nullable(),
});
export type ComputerRecord = z.infer<typeof ComputerRecord>;

/** What is known of a volume, kept beside it. */
export const VolumeRecord = z.object({
  kind: z.enum(["session", "builder"]),
  /** Id on this machine that uid 0 inside is; all files are owned relative to it. */
  firstId: z.number().int(),
  /** Size of the disk image, or null for a plain folder. */
  diskMb: z.number().int().nullable(),
});
export type VolumeRecord = z.infer<typeof VolumeRecord>;

const FILE = "record.json";

/** Undefined where there is none, or nothing that can be read. */
export async function readRecord<T>(directory: string, schema: z.ZodType<T>): Promise<T | undefined> {
  try {
    const result = schema.safeParse(JSON.parse(await readFile(join(directory, FILE), "utf8")));
    return result.data;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** All or nothing. Makes the folder where it is missing. */
export async function writeRecord(directory: string, record: ComputerRecord | VolumeRecord): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const draft = join(directory, `${FILE}.new`);
  await writeFile(draft, JSON.stringify(record));
  await rename(draft, join(directory, FILE));
}
