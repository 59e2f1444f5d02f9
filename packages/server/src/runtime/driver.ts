import type { Limits, Network } from "@raworc/contract";
import { withoutMachinePaths } from "../domain/machine-paths.ts";

/** `session` computers hold a session; `builder` computers are thrown away after a build step. */
export type ComputerKind = "session" | "builder";

/** A file or folder of the machine inside a computer. Only builders of local sources have these, always read-only. */
export interface ComputerMount {
  readonly source: string;
  readonly target: string;
}

/** Agents of a build in a form that this driver can start computers from. */
export interface BuildReference {
  readonly buildId: string;
  /** What `composeBuild` gave back. */
  readonly imageTag: string;
  readonly artifactKeys: readonly string[];
}

/** What a build's reference is made from. */
export interface BuildComposition {
  readonly buildId: string;
  readonly spaceName: string;
  /** Internal id of the space. */
  readonly spaceId: string;
  readonly artifactKeys: readonly string[];
}

export interface ComputerSpec {
  /** Id of the session, or of the builder. All names come from it. */
  readonly id: string;
  readonly kind: ComputerKind;
  /** Internal id of the space. */
  readonly spaceId: string;
  readonly limits: Limits;
  readonly network: Network;
  /** uid 0 for the agents inside (a user namespace's where the driver has one). */
  readonly root: boolean;
  readonly build: BuildReference | null;
  readonly mounts: readonly ComputerMount[];
}

export type ComputerStatus = "absent" | "created" | "running" | "frozen" | "stopped";

/** What is really there for one id. */
export interface ObservedComputer {
  readonly id: string;
  readonly kind: ComputerKind;
  readonly status: ComputerStatus;
  /** The computer's name for people: a container's name or a sandbox's. Null while absent. */
  readonly containerId: string | null;
  /** Null while there is no volume. */
  readonly volumeId: string | null;
  /** Whether the last end was a kill for lack of memory, where the driver can tell. */
  readonly outOfMemory: boolean;
}

/** Something happened to a computer; observe it again. Carries no truth. */
export interface ComputerNotice {
  readonly id: string;
}

/** What a computer uses. */
export interface ComputerUsage {
  /** Processor time since it was started last. */
  readonly cpuSeconds: number;
  /** Of all its processes, with shared memory and without what the kernel keeps of files and can give back. */
  readonly memoryBytes: number;
}

export interface DriverCheck {
  readonly ok: boolean;
  /** What is wrong and what to do about it, or what was found. */
  readonly detail: string;
}

export interface DriverCapabilities {
  /** Limits that are really enforced here. */
  readonly limits: Readonly<Record<keyof Limits, boolean>>;
  /** Says for people by which means limits are kept: `cgroup v1`, `rlimits`. */
  readonly limitsBy: string;
  /** Host and agents have uids of their own. */
  readonly separateUids: boolean;
}

export interface ArtifactSource {
  /** A running builder. */
  readonly computerId: string;
  /** Folder inside the builder whose content becomes the artifact. */
  readonly path: string;
}

/**
 * Makes and observes session computers. Every operation may be repeated, and does nothing where its effect is already there.
 * Names are deterministic; nothing without this installation's label is touched or listed.
 * All throw DriverError. An aborted signal rejects with its reason.
 */
export interface RuntimeDriver {
  readonly name: "docker" | "sandbox";
  readonly capabilities: DriverCapabilities;

  /** Cheap: may the driver work now. Never throws. */
  check(): Promise<DriverCheck>;

  /**
   * Makes volume, socket directory and computer where they are missing, starts it where it does not run, and resolves when
   * the host inside answers (no polling: the socket's appearance is watched).
   */
  start(spec: ComputerSpec, signal: AbortSignal): Promise<ObservedComputer>;
  /** Asks the host to end, then kills after `graceMs`. Files stay. */
  stop(id: string, graceMs: number): Promise<void>;
  /** Memory and processes stay, nothing runs. A while later memory goes to swap, where the machine has some. */
  freeze(id: string): Promise<void>;
  thaw(id: string): Promise<void>;
  /**
   * Makes a volume for `toId` with the files of `fromId` as they are on the disk now; the caller keeps whatever runs there
   * frozen. All or nothing. Says how: by sharing blocks, or by copying them.
   */
  copyVolume(fromId: string, toId: string, signal: AbortSignal): Promise<"reflink" | "copy">;
  /** Changes what can be changed while a computer is there: CPUs, memory and pids. The disk's size stays. */
  changeLimits(id: string, limits: Limits): Promise<void>;
  /** Zeros while none runs. */
  usage(id: string): Promise<ComputerUsage>;
  /** Removes the computer and its socket directory, and the volume too where asked. Absent is fine. */
  remove(id: string, options: { readonly volume: boolean }): Promise<void>;
  observe(id: string): Promise<ObservedComputer>;
  /** Everything of this installation that is there, volumes and socket directories without a computer included. */
  list(): Promise<readonly ObservedComputer[]>;
  /** Calls back when a computer ended, was killed or frozen from outside. Stops with the signal. */
  watch(onNotice: (notice: ComputerNotice) => void, signal: AbortSignal): void;

  /** Directory on the machine that holds the computer's sockets. Pure. */
  socketDirectory(id: string): string;

  hasArtifact(key: string): Promise<boolean>;
  /** Stores a folder of a running builder, read-only from then on. All or nothing. */
  storeArtifact(key: string, source: ArtifactSource, signal: AbortSignal): Promise<void>;
  removeArtifact(key: string): Promise<void>;
  /** What `composeBuild` gives: `raworc_space_{space}:{buildId}`, as far as the driver can have the space's name in it. Pure. */
  buildTag(build: Pick<BuildComposition, "spaceName" | "buildId">): string;
  /** Makes what sessions of a build start from, and gives its tag. */
  composeBuild(build: BuildComposition, signal: AbortSignal): Promise<string>;
  removeBuild(imageTag: string): Promise<void>;
  /** Digest of the toolchain that builds and runs agents; part of an artifact's key. */
  toolchain(): Promise<string>;

  /**
   * Removes all of this installation, for good: computers, volumes, sockets, artifacts, builds, networks, firewall rules.
   * What images and caches other installations may use too stays.
   */
  reset(): Promise<void>;
  /** Lets go of connections and listeners. Computers stay as they are. Idempotent. */
  close(): Promise<void>;
}

export interface DriverErrorOptions {
  readonly cause?: unknown;
  /** A repeated attempt may succeed (an engine that restarts); else it can't without a change. */
  readonly transient: boolean;
}

/** The computer could not be made, changed or reached. The message, for the server's log, says what to do. */
export class DriverError extends Error {
  override readonly name = "DriverError";
  readonly transient: boolean;

  constructor(message: string, options: DriverErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.transient = options.transient;
  }

  /** For whoever uses the API: without the paths of this machine. */
  describe(): string {
    return withoutMachinePaths(this.message);
  }
}
