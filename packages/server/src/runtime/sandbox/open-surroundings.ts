import { existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { DriverError } from "../driver.ts";
import type { DriverOptions } from "../driver-options.ts";
import { readMounts } from "../mount-lines.ts";
import { Spawner } from "../spawner/spawner.ts";
import { carryBubblewrap, OWN_BUBBLEWRAP } from "./carried-bubblewrap.ts";
import { CgroupV1 } from "./cgroup-v1.ts";
import { CgroupV2 } from "./cgroup-v2.ts";
import type { Cgroups } from "./cgroups.ts";
import { makeEtcFiles } from "./etc-files.ts";
import { EtcFolder } from "./etc-folder.ts";
import { writeFilters } from "./filters.ts";
import { readHostFlags } from "./host-command.ts";
import { findIdMapping } from "./id-map.ts";
import { findIdentityMount } from "./identity-mount.ts";
import { Launcher } from "./launcher.ts";
import { Layout } from "./layout.ts";
import { findProgram, PROGRAMS, runProgram } from "./programs.ts";
import { words } from "./shell.ts";
import { Standbys } from "./standby.ts";
import type { Surroundings } from "./surroundings.ts";
import { findToolchains } from "./toolchains.ts";
import { Volumes } from "./volumes.ts";

export interface SandboxOptions extends DriverOptions {
  /** An unpacked session image to start computers from, instead of the machine's `/usr`. */
  readonly rootDirectory?: string;
}

/** Looks at the machine. Throws DriverError where the driver can't work, with what to do. */
export async function openSurroundings(options: SandboxOptions): Promise<Surroundings> {
  if (process.platform !== "linux") throw impossible("The sandbox driver needs Linux. Use the docker driver.");
  await requirePrograms();
  const layout = new Layout(options.dataDirectory, options.instanceId);
  const { root, computers, sockets, artifacts, drafts, builds, shared, egress } = layout;
  for (const folder of [root, computers, layout.volumes, sockets, artifacts, drafts, builds, shared, egress]) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  }
  await layout.open();
  const mapping = await findIdMapping();
  const rootDirectory = options.rootDirectory ?? null;
  checkRootDirectory(rootDirectory);
  const spawner = new Spawner();
  const launcher = new Launcher(mapping, spawner);
  const standbys = new Standbys(shared, spawner, options.log);
  await standbys.open();
  const sized = mapping.kind === "own" && (await disksWork(shared));
  const etc = await makeEtcFiles(join(shared, "etc"), rootDirectory);
  const etcFolder = new EtcFolder(shared, etc, options.log);
  await etcFolder.open();
  return {
    layout,
    mapping,
    cgroups: await openCgroups(layout.label),
    identityMount: mapping.kind === "own" ? ((await findIdentityMount()) ?? null) : null,
    bubblewrap: rootDirectory === null ? OWN_BUBBLEWRAP : await carryBubblewrap(),
    spawner,
    launcher,
    volumes: new Volumes({ layout, mapping, launcher, sized }),
    standbys,
    sized,
    etc,
    etcFolder,
    filters: await writeFilters(join(shared, "filters")),
    toolchains: await findToolchains(rootDirectory === null ? options.userHome : null, options.path),
    hostProgram: options.hostProgram,
    hostFlags: await readHostFlags(options.hostProgram),
    certificates: options.certificates,
    rootDirectory,
    egress: options.egress,
    returnMemoryAfterMs: options.returnMemoryAfterMs,
    log: options.log,
  };
}

async function requirePrograms(): Promise<void> {
  for (const [name, debianPackage] of Object.entries(PROGRAMS)) {
    if ((await findProgram(name)) !== undefined) continue;
    throw impossible(`The program ${name} is missing. Install it, for example: apt-get install ${debianPackage}`);
  }
}

function checkRootDirectory(rootDirectory: string | null): void {
  if (rootDirectory === null || existsSync(join(rootDirectory, "usr"))) return;
  throw impossible(`${rootDirectory} holds no unpacked image: there is no usr in it`);
}

/** The newer version counts where it has the controllers; machines with both have them in the older one. */
async function openCgroups(label: string): Promise<Cgroups | undefined> {
  const mounts = await readMounts();
  return (await CgroupV2.open(mounts, label)) ?? (await CgroupV1.open(mounts, label));
}

const PROBE_MB = 8;

/** Whether disk images can be made and mounted here: containers often may not. */
async function disksWork(folder: string): Promise<boolean> {
  if ((await findProgram("mkfs.ext4")) === undefined) return false;
  const image = join(folder, `probe-${process.pid}.img`);
  const script = [
    words("truncate", "-s", `${PROBE_MB}M`, image),
    words("mkfs.ext4", "-q", "-F", image),
    `mount -o loop ${words(image)} /mnt`,
  ].join(" && ");
  try {
    return (await runProgram(["unshare", "--mount", "--", "sh", "-c", script])).ok;
  } finally {
    await rm(image, { force: true });
  }
}

function impossible(message: string): DriverError {
  return new DriverError(message, { transient: false });
}
