import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { architectureOf, makeFilter } from "./seccomp.ts";
import { writeShared } from "./shared-file.ts";

/** Files with the system call filters. */
export interface Filters {
  readonly directory: string;
  readonly strict: string;
  /** For computers in which namespaces may be made. */
  readonly namespaces: string;
}

/** Throws DriverError on a machine whose system calls are not known. */
export async function writeFilters(directory: string): Promise<Filters> {
  const architecture = architectureOf(process.arch);
  const filters = { directory, strict: join(directory, "strict"), namespaces: join(directory, "namespaces") };
  await mkdir(directory, { recursive: true, mode: 0o755 });
  await writeShared(filters.strict, makeFilter({ architecture, namespaces: false }));
  await writeShared(filters.namespaces, makeFilter({ architecture, namespaces: true }));
  return filters;
}
