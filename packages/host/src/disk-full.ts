/** A write found no space. Whatever it was for ends `failed` with `disk_full`; the host goes on. */
export class DiskFullError extends Error {
  override readonly name = "DiskFullError";

  constructor(cause: unknown) {
    super("The session's disk is full: delete files below /session, or raise disk_mb.", { cause });
  }
}

export function isDiskFull(error: unknown): boolean {
  const code = errorCode(error);
  return error instanceof DiskFullError || code === "ENOSPC" || code === "EDQUOT";
}

export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
