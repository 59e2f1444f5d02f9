import type { Logger } from "pino";
import type { DriverOptions } from "../driver-options.ts";
import type { HostProgram } from "../host-program.ts";
import type { Spawner } from "../spawner/spawner.ts";
import type { CarriedBubblewrap } from "./carried-bubblewrap.ts";
import type { Cgroups } from "./cgroups.ts";
import type { EtcFiles } from "./etc-files.ts";
import type { EtcFolder } from "./etc-folder.ts";
import type { Filters } from "./filters.ts";
import type { HostFlags } from "./host-command.ts";
import type { IdMapping } from "./id-map.ts";
import type { IdentityMount } from "./identity-mount.ts";
import type { Launcher } from "./launcher.ts";
import type { Layout } from "./layout.ts";
import type { Standbys } from "./standby.ts";
import type { Toolchains } from "./toolchains.ts";
import type { Volumes } from "./volumes.ts";

/** What this machine offers, found once, and what the driver was made with. */
export interface Surroundings {
  readonly layout: Layout;
  readonly mapping: IdMapping;
  /** Undefined where this user may make no control groups. */
  readonly cgroups: Cgroups | undefined;
  readonly identityMount: IdentityMount | null;
  readonly bubblewrap: CarriedBubblewrap;
  readonly spawner: Spawner;
  readonly launcher: Launcher;
  readonly volumes: Volumes;
  readonly standbys: Standbys;
  /** Whether volumes have a size that they can not outgrow. */
  readonly sized: boolean;
  readonly etc: EtcFiles;
  readonly etcFolder: EtcFolder;
  readonly filters: Filters;
  readonly toolchains: Toolchains;
  readonly hostProgram: HostProgram;
  readonly hostFlags: HostFlags;
  readonly certificates: string | null;
  /** An unpacked session image instead of the machine's `/usr`. */
  readonly rootDirectory: string | null;
  readonly egress: DriverOptions["egress"];
  readonly returnMemoryAfterMs: number | undefined;
  readonly log: Logger;
}
