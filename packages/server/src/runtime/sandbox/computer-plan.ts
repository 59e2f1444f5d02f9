import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { COMPUTER } from "@raworc/contract";
import { type ComputerSpec, DriverError } from "../driver.ts";
import { BubblewrapArguments, keepCapabilities } from "./bubblewrap.ts";
import { bytesOf } from "./cgroups.ts";
import type { VolumeRecord } from "./computer-record.ts";
import { HOST_NAME } from "./etc-files.ts";
import {
  FILTERS_INSIDE,
  HOST_LOG,
  hostCapabilities,
  hostCommand,
  resourceLimitWords,
  rootPrefix,
  singlePrefix,
} from "./host-command.ts";
import { artifactFiles } from "./layout.ts";
import {
  imageRoot,
  machineRoot,
  machineRootForRoot,
  type RootFileSystem,
  type RootOptions,
} from "./root-file-system.ts";
import { Stage } from "./stage.ts";
import type { Standby } from "./standby.ts";
import type { Surroundings } from "./surroundings.ts";
import { NODE_INSIDE, pathInside, requireNpm } from "./toolchains.ts";
import { ARTIFACTS_FOLDER, HOST_LOG_FILE } from "./volumes.ts";

export interface ComputerPlan {
  readonly preparation: readonly string[];
  readonly bubblewrap: readonly string[];
  readonly filter: string;
  /** Where the stage is. */
  readonly place: string;
}

/** What there is before the computer. */
export interface ComputerBasis {
  readonly volumeRecord: VolumeRecord;
  /** There was no computer on this volume before. */
  readonly isNew: boolean;
  readonly etcFolder: string | null;
  /** A launch that was begun, with the volume's disk on its stage. */
  readonly standby: Standby | undefined;
}

interface Mount {
  readonly source: string;
  readonly target: string;
}

/** Namespaces of its own for everything but users, which the launch makes before. */
const NAMESPACES = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net", "--unshare-cgroup-try"];

/** From what a computer should be to how it is launched. Throws DriverError where a part of it is missing. */
export function planComputer(
  surroundings: Surroundings,
  spec: ComputerSpec,
  { volumeRecord, isNew, etcFolder, standby }: ComputerBasis,
): ComputerPlan {
  const { layout, volumes, etc, filters, mapping } = surroundings;
  const mounts = collectMounts(surroundings, spec);
  const sockets = layout.socketDirectory(spec.id);
  const sources = [...mounts.map(({ source }) => source), sockets, volumes.source(spec.id), etcFolder ?? etc.directory];
  const { rootDirectory } = surroundings;
  const stage = new Stage(
    join(layout.computer(spec.id), "mounts"),
    rootDirectory === null ? sources : [...sources, rootDirectory],
    standby?.place,
  );
  const volume = volumes.mount(spec.id, volumeRecord, stage);
  const root = planRoot(surroundings, spec, {
    stage,
    volume,
    firstId: volumeRecord.firstId,
    etc,
    etcFolder,
    identityMount: surroundings.identityMount,
  });
  const wrap = new BubblewrapArguments();
  wrap.add(...NAMESPACES, "--as-pid-1", "--hostname", HOST_NAME, "--clearenv");
  wrap.add(...keepCapabilities(["setpcap", ...hostCapabilities(mapping, spec.root)]));
  root.mount(wrap);
  wrap.add("--proc", "/proc", "--dev", "/dev");
  // Shared memory counts as memory, and no kill gives it back: it must leave room for the host.
  const sharedMemory = Math.floor(bytesOf(spec.limits.memory_mb) / 2);
  wrap.add("--perms", "1777", "--size", String(sharedMemory), "--tmpfs", "/dev/shm");
  wrap.writable(`${volume}/session`, COMPUTER.session);
  wrap.folder(dirname(COMPUTER.socketDirectory), "0700");
  wrap.writable(stage.bind(sockets), COMPUTER.socketDirectory);
  if (spec.kind === "builder") wrap.writable(`${volume}/${ARTIFACTS_FOLDER}`, COMPUTER.artifacts);
  else wrap.folder(COMPUTER.artifacts);
  for (const { source, target } of mounts) wrap.readOnly(stage.bind(source), target);
  linkNpm(wrap);
  if (rootDirectory === null && !spec.root) wrap.add("--remount-ro", "/");
  const resourceLimits = surroundings.cgroups === undefined ? resourceLimitWords(spec.limits) : [];
  wrap.add(...environment(surroundings, spec), "--chdir", "/", "--");
  wrap.add(...hostCommand(surroundings.hostFlags, hostCapabilities(mapping, spec.root), resourceLimits));
  return {
    preparation: [
      ...(standby === undefined ? volumes.preparation(spec.id, volumeRecord) : []),
      ...stage.commands,
      ...volumes.folders(volume, volumeRecord, isNew),
      ...root.preparation,
      `exec ${HOST_LOG}>${volume}/${HOST_LOG_FILE}`,
    ],
    bubblewrap: wrap.words,
    filter: spec.root || mapping.kind === "single" ? filters.namespaces : filters.strict,
    place: stage.directory,
  };
}

function planRoot({ rootDirectory }: Surroundings, { root }: ComputerSpec, options: RootOptions): RootFileSystem {
  if (rootDirectory !== null) return imageRoot(rootDirectory, options, root);
  return root ? machineRootForRoot(options) : machineRoot(options);
}

function collectMounts(surroundings: Surroundings, spec: ComputerSpec): Mount[] {
  const { toolchains, hostProgram, certificates, layout, filters, mapping } = surroundings;
  const homes = spec.kind === "builder" ? [...toolchains.shared, ...toolchains.building] : toolchains.shared;
  const artifacts = (spec.build?.artifactKeys ?? []).map((key) => {
    const source = artifactFiles(layout.artifact(key));
    if (existsSync(source)) return { source, target: `${COMPUTER.artifacts}/${key}` };
    throw new DriverError(`The artifact ${key} of build ${spec.build?.buildId} is gone. Build the space again.`, {
      transient: false,
    });
  });
  return [
    { source: hostProgram.directory, target: COMPUTER.program },
    { source: toolchains.nodeProgram, target: `${NODE_INSIDE}/bin/node` },
    { source: requireNpm(toolchains), target: `${NODE_INSIDE}/lib/node_modules/npm` },
    ...(certificates === null ? [] : [{ source: certificates, target: COMPUTER.certificates }]),
    ...(mapping.kind === "single" ? [{ source: filters.directory, target: FILTERS_INSIDE }] : []),
    ...homes.map((folder) => ({ source: folder, target: folder })),
    ...(mapping.kind === "single" || spec.root ? surroundings.bubblewrap.mounts : []),
    ...artifacts,
    ...spec.mounts,
  ];
}

function linkNpm(wrap: BubblewrapArguments): void {
  for (const name of ["npm", "npx"]) {
    wrap.link(`../lib/node_modules/npm/bin/${name}-cli.js`, join(NODE_INSIDE, "bin", name));
  }
}

function environment(
  { toolchains, hostFlags, mapping, filters, bubblewrap }: Surroundings,
  spec: ComputerSpec,
): string[] {
  const variables: Record<string, string> = {
    ...hostFlags.environment,
    PATH: pathInside(toolchains),
    LANG: "C.UTF-8",
    HOME: "/root",
    RAWORC_HOST_AGENT_UID: spec.root ? "0" : String(COMPUTER.agentUid),
    RAWORC_HOST_ENVIRONMENT: JSON.stringify(toolchains.environment),
  };
  const prefix =
    mapping.kind === "single"
      ? singlePrefix(bubblewrap.words, basename(spec.root ? filters.namespaces : filters.strict), spec.root)
      : spec.root
        ? rootPrefix(bubblewrap.words)
        : undefined;
  if (prefix !== undefined) variables["RAWORC_HOST_SPAWN_PREFIX"] = JSON.stringify(prefix);
  return Object.entries(variables).flatMap(([name, value]) => ["--setenv", name, value]);
}
