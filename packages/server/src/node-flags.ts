export interface ServerFlags {
  /** Before the program's name. */
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * How Node.js is started for the server. Without any of it the server works too, with twice the memory when it has been busy:
 * V8 lets its young objects spread over what suits a program that computes, and the C library keeps the 16 MiB that each
 * check of a password takes, once for each thread that made one.
 */
export const SERVER_NODE_FLAGS: ServerFlags = {
  arguments: ["--max-semi-space-size=4"],
  environment: {
    MALLOC_ARENA_MAX: "2",
    MALLOC_MMAP_THRESHOLD_: String(1024 * 1024),
    MALLOC_TRIM_THRESHOLD_: String(4 * 1024 * 1024),
  },
};
