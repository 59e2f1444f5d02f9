import { DEFAULT_LIMITS, type Limits } from "@raworc/contract";

/** Limits of which some are named; the others come from elsewhere. */
export type SomeLimits = { readonly [Name in keyof Limits]?: number | undefined };

/** The most that a space's sessions may have. */
export function limitsOfSpace(settings: { readonly limits?: SomeLimits | undefined }): Limits {
  const { limits = {} } = settings;
  return {
    cpus: limits.cpus ?? DEFAULT_LIMITS.cpus,
    memory_mb: limits.memory_mb ?? DEFAULT_LIMITS.memory_mb,
    disk_mb: limits.disk_mb ?? DEFAULT_LIMITS.disk_mb,
    pids: limits.pids ?? DEFAULT_LIMITS.pids,
  };
}
