import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

/** What the driver starts on this machine, and the Debian package that has it. */
export const PROGRAMS = {
  bwrap: "bubblewrap",
  unshare: "util-linux",
  mount: "util-linux",
  setpriv: "util-linux",
} as const;

const SYSTEM_FOLDERS = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** Where programs of the system are looked for, whatever else is on the PATH. */
export const SYSTEM_PATH = SYSTEM_FOLDERS.join(":");

/** Undefined where there is none. */
export async function findProgram(
  name: string,
  folders: readonly string[] = SYSTEM_FOLDERS,
): Promise<string | undefined> {
  for (const folder of folders) {
    const path = join(folder, name);
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  return undefined;
}

export interface ProgramEnd {
  readonly ok: boolean;
  readonly stdout: string;
  /** The end of what it said, for people. */
  readonly complaint: string;
}

const TIMEOUT_MS = 120_000;
const COMPLAINT_MAX = 2000;

/** Runs a program of the system to its end. Rejects only with the signal's reason. */
export async function runProgram(
  words: readonly [string, ...string[]],
  options: { readonly signal?: AbortSignal; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<ProgramEnd> {
  const [program, ...rest] = words;
  const { signal } = options;
  const env = { PATH: SYSTEM_PATH, LC_ALL: "C", ...options.env };
  try {
    const call = promisify(execFile)(program, rest, { env, timeout: TIMEOUT_MS, ...(signal && { signal }) });
    const { stdout, stderr } = await call;
    return { ok: true, stdout, complaint: stderr.slice(-COMPLAINT_MAX) };
  } catch (error) {
    signal?.throwIfAborted();
    const { stderr = "", message } = error as { stderr?: string; message: string };
    return { ok: false, stdout: "", complaint: (stderr.trim() || message).slice(-COMPLAINT_MAX) };
  }
}
