export interface HostFlags {
  /** Before the program's name. */
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** How Node.js is started for the host: it waits most of the time, so memory counts more than speed of computing. */
export const HOST_NODE_FLAGS: HostFlags = {
  arguments: ["--max-semi-space-size=1"],
  environment: { UV_THREADPOOL_SIZE: "2" },
};
