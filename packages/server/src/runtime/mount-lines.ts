import { readFile } from "node:fs/promises";

/** A mount of this machine. */
export interface MountLine {
  readonly target: string;
  readonly type: string;
  /** Options of the file system as a whole; controllers are among them for control groups. */
  readonly options: readonly string[];
}

/** Mounts as this process sees them. */
export async function readMounts(): Promise<readonly MountLine[]> {
  return parseMounts(await readFile("/proc/self/mountinfo", "utf8"));
}

/** Lines as proc(5) describes them: target is the fifth field, type and options come after a lone dash. */
export function parseMounts(text: string): readonly MountLine[] {
  return text.split("\n").flatMap((line) => {
    const [before = "", after = ""] = line.split(" - ", 2);
    const target = before.split(" ")[4];
    const [type, , options] = after.split(" ");
    if (target === undefined || type === undefined || options === undefined) return [];
    const plain = target.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    return [{ target: plain, type, options: options.split(",") }];
  });
}
