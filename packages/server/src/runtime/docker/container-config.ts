import { createHash } from "node:crypto";
import { COMPUTER, type Limits } from "@raworc/contract";
import type { ComputerKind, ComputerSpec } from "../driver.ts";
import { LABEL, type Names, WIRE } from "./names.ts";
import { seccompProfile } from "./seccomp-profile.ts";

const MIB = 1024 * 1024;
/** Microseconds; the kernel's usual one. */
const CPU_PERIOD = 100_000;
const CPU_QUOTA_MIN = 1000;
/** Where a computer finds itself by its name. */
const OWN_ADDRESS = "127.0.1.1";
/** What the host needs to start others as uid 1000 and to end them. */
const HOST_CAPABILITIES = ["SETUID", "SETGID", "KILL"];

/** The engine's machine is this one. */
const SECCOMP = seccompProfile(process.arch);

/** A part of the container's `HostConfig.Mounts`. */
export interface EngineMount {
  readonly Type: "bind" | "volume";
  readonly Source?: string;
  readonly Target: string;
  readonly ReadOnly?: boolean;
  readonly BindOptions?: object;
  readonly VolumeOptions?: object;
}

export interface HostProgramFlags {
  /** Of Node.js, before the program. */
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

export interface ContainerSetting {
  readonly spec: ComputerSpec;
  readonly names: Names;
  readonly image: string;
  /** Name of a network, or `none`. */
  readonly network: string;
  /** Whether this driver connects it to a network. */
  readonly wired: boolean;
  readonly socketDirectory: string;
  readonly hostDirectory: string;
  readonly flags: HostProgramFlags;
  readonly certificates: string | null;
  readonly volumes: readonly EngineMount[];
}

/**
 * How a computer's container is made. Nothing in its environment differs from session to session, and no secret is there.
 * Without root everything but the volume is read-only, so that the volume's size is the limit of all that can be written.
 */
export function containerConfig(setting: ContainerSetting): { readonly shape: string; readonly config: object } {
  const { spec, names } = setting;
  const config = {
    Image: setting.image,
    Hostname: spec.kind,
    User: "0:0",
    WorkingDir: COMPUTER.session,
    OpenStdin: false,
    Tty: false,
    Entrypoint: ["/usr/bin/tini", "--", "/usr/local/bin/node", ...setting.flags.arguments],
    Cmd: [`${COMPUTER.program}/host.mjs`],
    Env: [
      ...Object.entries(setting.flags.environment).map(([name, value]) => `${name}=${value}`),
      ...(spec.root ? ["RAWORC_HOST_AGENT_UID=0"] : []),
    ],
    Labels: setting.wired ? { [LABEL.network]: WIRE } : {},
    HostConfig: {
      ...limitsConfig(spec.limits),
      NetworkMode: setting.network,
      // The engine writes down the names of those that it connects.
      ...(setting.wired ? { ExtraHosts: [`${spec.kind}:${OWN_ADDRESS}`] } : {}),
      ReadonlyRootfs: !spec.root,
      SecurityOpt: ["no-new-privileges:true", ...(SECCOMP === undefined ? [] : [`seccomp=${SECCOMP}`])],
      ...(spec.root ? {} : { CapDrop: ["ALL"], CapAdd: HOST_CAPABILITIES }),
      // Shared memory counts as memory. Half leaves room: whoever fills it gets an error and nobody is killed for it.
      ShmSize: Math.ceil(spec.limits.memory_mb / 2) * MIB,
      IpcMode: "private",
      Ulimits: [{ Name: "core", Soft: 0, Hard: 0 }],
      LogConfig: { Type: "local", Config: { "max-size": "1m", "max-file": "2", compress: "false" } },
      RestartPolicy: { Name: "no" },
      Mounts: [
        ...setting.volumes,
        bind(setting.socketDirectory, COMPUTER.socketDirectory, false),
        bind(setting.hostDirectory, COMPUTER.program, true),
        ...(setting.certificates === null ? [] : [bind(setting.certificates, COMPUTER.certificates, true)]),
        ...spec.mounts.map(({ source, target }) => bind(source, target, true)),
      ],
    },
  };
  const shape = createHash("sha256").update(JSON.stringify(config)).digest("hex").slice(0, 24);
  const labels = names.labels({
    [LABEL.kind]: spec.kind,
    [spec.kind === "session" ? LABEL.session : LABEL.builder]: spec.id,
    [LABEL.space]: spec.spaceId,
    [LABEL.shape]: shape,
    ...config.Labels,
  });
  return { shape, config: { ...config, Labels: labels } };
}

/** Quotas instead of a count of CPUs: a machine with fewer takes them too. Swap would be memory beyond the limit. */
export function limitsConfig({ cpus, memory_mb, pids }: Limits): object {
  return {
    CpuPeriod: CPU_PERIOD,
    CpuQuota: Math.max(CPU_QUOTA_MIN, Math.round(cpus * CPU_PERIOD)),
    Memory: memory_mb * MIB,
    MemorySwap: memory_mb * MIB,
    PidsLimit: pids,
  };
}

/** A volume of the engine for `/session`. */
export function namedVolume(names: Names, kind: ComputerKind, id: string, empty: boolean): EngineMount {
  const labels = names.labels({ [LABEL.kind]: kind, [kind === "session" ? LABEL.session : LABEL.builder]: id });
  const options = { NoCopy: empty, Labels: labels };
  return { Type: "volume", Source: names.volume(kind, id), Target: COMPUTER.session, VolumeOptions: options };
}

export function bind(source: string, target: string, readOnly: boolean): EngineMount {
  const propagation = { BindOptions: { Propagation: "rprivate" } };
  return { Type: "bind", Source: source, Target: target, ReadOnly: readOnly, ...propagation };
}
