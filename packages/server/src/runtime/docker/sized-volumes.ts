import { chmod, chown, mkdir, mkdtemp, readdir, rename, rm, stat, truncate, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { COMPUTER } from "@raworc/contract";
import { type ComputerKind, DriverError } from "../driver.ts";
import { removeLeftDrafts } from "../left-drafts.ts";
import { bind, type EngineMount, namedVolume } from "./container-config.ts";
import type { Names } from "./names.ts";
import { COMPUTER_KINDS } from "./names.ts";
import { ProgramError, runProgram } from "./program.ts";
import type { Shells } from "./shells.ts";
import type { VolumeRequest, Volumes } from "./volumes.ts";

const MIB = 1024 * 1024;
const JOURNAL_MB = 16;
const JOURNAL_SMALL_MB = 4;
const SMALL_DISK_MB = 512;
const PROBE_MB = 64;
const IMAGE = "disk.img";
const MOUNT = "mount";
/** Beside an image whose file system stands still for a copy. */
const STANDSTILL = "standstill";
const NOT_FROZEN = /Invalid argument|No such file/;
/** Folders at the top of each file system: what is `/session`, and where a builder's artifacts are. */
const FILES = "files";
const ARTIFACTS = "artifacts";
/** Blocks that files give back are given back to the machine. */
const MOUNT_OPTIONS = "loop,nosuid,nodev,noatime,discard";
const COPY_AND_MOUNT = `set -e; options=$1 image=$2 place=$3 empty=$4
if [ "$empty" ]; then
  [ ! -e "$image.draft" ] || rm -f -- "$image.draft"
  cp --sparse=always -- "$empty" "$image.draft"
  mv -T -- "$image.draft" "$image"
fi
exec mount -t ext4 -o "$options" "$image" "$place"`;
const MOUNT_FOLDER = 'exec mount --bind "$1" "$2"';
const UNMOUNT = 'exec umount "$1"';

export interface SizedVolumesOptions {
  readonly directory: string;
  /** Where the engine keeps its volumes. */
  readonly engineVolumes: string;
  readonly names: Names;
  readonly shells: Shells;
}

/**
 * Each computer's files are an ext4 file system in a sparse file, as large as the computer's disk may be. Needs root on the
 * engine's machine. A folder of it is mounted over the engine's own volume, which has the right name and is empty. The
 * engine is not told: volumes that it mounts itself can't be removed any more after it was restarted (20.10).
 */
export class SizedVolumes implements Volumes {
  readonly limited = true;
  readonly #directory: string;
  readonly #names: Names;
  readonly #engineVolumes: string;
  readonly #shells: Shells;
  /** Empty disks that are being made, by size: two computers may ask for one at the same time. */
  readonly #making = new Map<number, Promise<void>>();

  private constructor(options: SizedVolumesOptions) {
    this.#directory = options.directory;
    this.#names = options.names;
    this.#engineVolumes = options.engineVolumes;
    this.#shells = options.shells;
  }

  /** Undefined where this machine or user can't: says why. */
  static async open(
    options: SizedVolumesOptions,
  ): Promise<{ readonly volumes?: SizedVolumes; readonly problem: string }> {
    if (process.geteuid?.() !== 0) return { problem: "the server does not run as root" };
    if (!(await exists(options.engineVolumes))) return { problem: "the engine's volumes are not on this machine" };
    const volumes = new SizedVolumes(options);
    const trial = `.trial-${process.pid}`;
    try {
      await volumes.#makeTemplate();
      await removeLeftDrafts(options.directory, /^\.empty-\d+\.img\.(\d+)$/);
      await volumes.prepare({ id: trial, kind: "session", diskMb: PROBE_MB });
      return { volumes, problem: "" };
    } catch (error) {
      if (error instanceof DriverError) return { problem: error.message };
      throw error;
    } finally {
      await volumes.remove(trial);
    }
  }

  mounts({ id, kind }: VolumeRequest): readonly EngineMount[] {
    return [
      namedVolume(this.#names, kind, id, true),
      ...(kind === "builder" ? [bind(join(this.#mount(id), ARTIFACTS), COMPUTER.artifacts, false)] : []),
    ];
  }

  async prepare({ id, diskMb }: VolumeRequest): Promise<void> {
    await this.awaken(id);
    await mkdir(this.#mount(id), { recursive: true, mode: 0o700 });
    await this.#explained(async () => {
      const isNew = !(await exists(this.#image(id)));
      if (isNew) await this.#ensureEmptyDisk(diskMb);
      if (!isNew && (await isMountPoint(this.#mount(id)))) return;
      const words = [MOUNT_OPTIONS, this.#image(id), this.#mount(id), isNew ? this.#emptyDisk(diskMb) : ""];
      await this.#shells.run(COPY_AND_MOUNT, words);
    });
  }

  async attach({ id, kind }: VolumeRequest): Promise<void> {
    const place = this.#place(kind, id);
    if (await isMountPoint(place)) return;
    await this.#explained(() => this.#shells.run(MOUNT_FOLDER, [join(this.#mount(id), FILES), place]));
  }

  async release(id: string): Promise<void> {
    const places = [...COMPUTER_KINDS.map((kind) => this.#place(kind, id)), this.#mount(id)];
    for (const place of places) {
      // Two servers may have mounted it, one over the other.
      while (await isMountPoint(place)) await this.#explained(() => this.#shells.run(UNMOUNT, [place]));
    }
  }

  has(id: string): Promise<boolean> {
    return exists(this.#image(id));
  }

  async list(): Promise<readonly string[]> {
    return (await readdir(this.#directory).catch(() => [])).filter((name) => !name.startsWith("."));
  }

  /** The source's file system is quiet while it is copied, so the copy is one that was cleanly written. */
  async copy(from: string, to: string, signal: AbortSignal): Promise<"reflink" | "copy"> {
    const mounted = await isMountPoint(this.#mount(from));
    const draft = `${this.#image(to)}.draft`;
    await mkdir(this.#mount(to), { recursive: true, mode: 0o700 });
    try {
      // A copy that was cut short may still be written by a program that outlived its server; not to this file.
      await rm(draft, { force: true });
      let how: "reflink" | "copy";
      try {
        if (mounted) {
          await writeFile(this.#standstill(from), "");
          await this.#explained(() => runProgram("fsfreeze", ["--freeze", this.#mount(from)]));
        }
        how = await this.#copyImage(this.#image(from), draft, signal);
      } finally {
        await this.awaken(from);
      }
      await rename(draft, this.#image(to));
      return how;
    } catch (error) {
      await this.remove(to);
      throw error;
    }
  }

  async awaken(id: string): Promise<void> {
    if (!(await exists(this.#standstill(id)))) return;
    try {
      await this.#explained(() => runProgram("fsfreeze", ["--unfreeze", this.#mount(id)]));
    } catch (error) {
      // It may not have come to the standstill, and the machine may have started anew since.
      if (!(error instanceof DriverError && NOT_FROZEN.test(error.message))) throw error;
    }
    await rm(this.#standstill(id), { force: true });
  }

  async remove(id: string): Promise<void> {
    await this.release(id);
    await rm(join(this.#directory, id), { recursive: true, force: true });
  }

  async #copyImage(from: string, to: string, signal: AbortSignal): Promise<"reflink" | "copy"> {
    try {
      await runProgram("cp", ["--reflink=always", "--", from, to], { signal });
      return "reflink";
    } catch (error) {
      if (!(error instanceof ProgramError)) throw error;
      await this.#explained(() => runProgram("cp", ["--reflink=never", "--sparse=always", "--", from, to], { signal }));
      return "copy";
    }
  }

  /** An empty disk of a size is formatted once: copying its few blocks takes a tenth of the time. */
  async #ensureEmptyDisk(diskMb: number): Promise<void> {
    if (await exists(this.#emptyDisk(diskMb))) return;
    const making = this.#making.get(diskMb) ?? this.#format(diskMb).finally(() => this.#making.delete(diskMb));
    this.#making.set(diskMb, making);
    await making;
  }

  async #format(diskMb: number): Promise<void> {
    const draft = `${this.#emptyDisk(diskMb)}.${process.pid}`;
    await rm(draft, { force: true });
    await writeFile(draft, "", { mode: 0o600 });
    await truncate(draft, diskMb * MIB);
    const journal = diskMb < SMALL_DISK_MB ? JOURNAL_SMALL_MB : JOURNAL_MB;
    await runProgram("mkfs.ext4", [
      ...["-q", "-F", "-m", "0", "-J", `size=${journal}`, "-d", this.#template],
      ...["-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", draft],
    ]);
    await rename(draft, this.#emptyDisk(diskMb));
  }

  /** What a new file system holds: a session's folders, with the owners and modes that they have in the image too. */
  async #makeTemplate(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    if (await exists(this.#template)) return;
    const draft = await mkdtemp(join(this.#directory, ".draft-"));
    const make = async (path: string, owner: number, mode: number): Promise<void> => {
      await mkdir(join(draft, path));
      await chown(join(draft, path), owner, owner);
      await chmod(join(draft, path), mode);
    };
    const within = (path: string) => join(FILES, path.slice(COMPUTER.session.length));
    const { hostUid, agentUid } = COMPUTER;
    await make(FILES, hostUid, 0o1777);
    await make(ARTIFACTS, agentUid, 0o755);
    for (const path of [COMPUTER.workspace, COMPUTER.cache]) await make(within(path), agentUid, 0o755);
    await make(within(COMPUTER.temporary), agentUid, 0o1777);
    for (const path of [COMPUTER.agents, COMPUTER.logs]) await make(within(path), hostUid, 0o755);
    await make(within(COMPUTER.state), hostUid, 0o700);
    await chmod(draft, 0o755);
    await rename(draft, this.#template).catch(async (error: unknown) => {
      await rm(draft, { recursive: true, force: true });
      // Another server of this installation was first.
      if (!(await exists(this.#template))) throw error;
    });
  }

  async #explained<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof ProgramError)) throw error;
      const message = `A computer's disk could not be made or changed (${error.message}). Is the machine's disk full, are loop devices there?`;
      throw new DriverError(message, { cause: error, transient: true });
    }
  }

  get #template(): string {
    return join(this.#directory, ".template");
  }

  #emptyDisk(diskMb: number): string {
    return join(this.#directory, `.empty-${diskMb}.img`);
  }

  #image(id: string): string {
    return join(this.#directory, id, IMAGE);
  }

  #standstill(id: string): string {
    return join(this.#directory, id, STANDSTILL);
  }

  /** Where the engine keeps a volume's files. */
  #place(kind: ComputerKind, id: string): string {
    return join(this.#engineVolumes, this.#names.volume(kind, id), "_data");
  }

  #mount(id: string): string {
    return join(this.#directory, id, MOUNT);
  }
}

/** False where there is nothing at all. */
async function isMountPoint(path: string): Promise<boolean> {
  const [found, parent] = await Promise.all([stat(path), stat(dirname(path))]).catch(() => []);
  return found !== undefined && parent !== undefined && found.dev !== parent.dev;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
