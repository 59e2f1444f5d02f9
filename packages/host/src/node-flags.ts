export interface HostFlags {
  /** Before the program's name. */
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * How Node.js is started for the host, which waits most of the time: memory counts more than speed of computing. Without any
 * of it the host works too, with 2 to 3 MiB more. Most flags of V8 would cost each start 20 ms more, since it takes none of
 * the code then that Node.js brings compiled.
 */
export const HOST_NODE_FLAGS: HostFlags = {
  arguments: ["--max-semi-space-size=1", "--v8-pool-size=0"],
  environment: { MALLOC_ARENA_MAX: "1", MALLOC_TRIM_THRESHOLD_: "65536", UV_THREADPOOL_SIZE: "1" },
};
