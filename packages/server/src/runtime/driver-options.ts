import type { Logger } from "pino";
import type { EgressProxy } from "./egress.ts";
import type { HostProgram } from "./host-program.ts";

/** What every driver is made with. */
export interface DriverOptions {
  /** Id of this installation; labels all that a driver makes. */
  readonly instanceId: string;
  readonly dataDirectory: string;
  readonly hostProgram: HostProgram;
  readonly egress: Pick<EgressProxy, "serve" | "end">;
  /** CA certificates on this machine that computers get to trust. */
  readonly certificates: string | null;
  readonly mirrorHosts: readonly string[];
  /** Where this machine's user keeps toolchains. */
  readonly userHome: string;
  readonly path: string;
  /** Milliseconds that a frozen computer keeps its memory; left out, the usual time. */
  readonly returnMemoryAfterMs?: number;
  readonly log: Logger;
}
