import type { HostExec, HostExecLine } from "@raworc/contract";

/** What a build needs of a builder computer: commands in it, as uid 1000. Closing the iteration ends the command. */
export interface Computer {
  exec(request: HostExec, signal: AbortSignal): AsyncIterable<HostExecLine>;
}
