import { chmodSync, chownSync, existsSync, mkdirSync } from "node:fs";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { COMPUTER } from "@raworc/contract";
import { type ComputerKind, DriverError } from "../driver.ts";
import { parseMounts } from "../mount-lines.ts";
import { readRecord, VolumeRecord, writeRecord } from "./computer-record.ts";
import { firstIdOf, type IdMapping } from "./id-map.ts";
import type { Launcher } from "./launcher.ts";
import type { Layout } from "./layout.ts";
import type { ProcessIdentity } from "./process-identity.ts";
import { runProgram } from "./programs.ts";
import { quote, words } from "./shell.ts";
import { Stage, VOLUME_ON_STAGE } from "./stage.ts";

export interface VolumesOptions {
  readonly layout: Layout;
  readonly mapping: IdMapping;
  readonly launcher: Launcher;
  /** Whether volumes are file systems of a fixed size of their own. */
  readonly sized: boolean;
}

/** Folder of a builder's volume that is at COMPUTER.artifacts inside. */
export const ARTIFACTS_FOLDER = "artifacts";

/**
 * Folders of a new volume. uid 0 inside owns `/session`, whose sticky bit keeps agents from moving the host's folders away.
 * The host would make its own where they are missing, which takes it longer.
 */
const FOLDERS = [
  { name: "tmp", mode: 0o1777, owner: "host" },
  { name: ARTIFACTS_FOLDER, mode: 0o755, owner: "agent" },
  { name: "session", mode: 0o1777, owner: "host" },
  { name: "session/agents", mode: 0o755, owner: "host" },
  { name: "session/cache", mode: 0o755, owner: "agent" },
  { name: "session/logs", mode: 0o755, owner: "host" },
  { name: "session/state", mode: 0o700, owner: "host" },
  { name: "session/tmp", mode: 0o1777, owner: "agent" },
  { name: "session/workspace", mode: 0o755, owner: "agent" },
] as const;

/** At the top of a volume, where nothing inside can reach. */
export const HOST_LOG_FILE = "host.log";

const LOG_TAIL = 2000;
const JOURNAL_MB = { least: 4, most: 64, share: 64 };

/** The persistent files of computers: a sparse disk image each, or a plain folder where this user may mount none. */
export class Volumes {
  readonly #options: VolumesOptions;
  /** Templates that are being made, by size: two computers may ask for one at the same time. */
  readonly #making = new Map<number, Promise<void>>();

  constructor(options: VolumesOptions) {
    this.#options = options;
  }

  find(id: string): Promise<VolumeRecord | undefined> {
    return readRecord(this.#options.layout.volume(id), VolumeRecord);
  }

  /** Notes a volume; its files are made by `preparation`. */
  async ensure(id: string, kind: ComputerKind, diskMb: number): Promise<VolumeRecord> {
    const found = await this.find(id);
    if (found !== undefined) return found;
    const { layout, mapping, sized } = this.#options;
    if (sized) await this.#ensureTemplate(diskMb);
    const firstId = firstIdOf(mapping, layout.label, id);
    const record: VolumeRecord = { kind, firstId, diskMb: sized ? diskMb : null };
    await writeRecord(layout.volume(id), record);
    if (!sized) await mkdir(join(layout.volume(id), "files"), { recursive: true, mode: 0o755 });
    return record;
  }

  /** Mounts a volume on a stage and gives its path there. */
  mount(id: string, record: VolumeRecord, stage: Stage): string {
    if (record.diskMb === null) return stage.folder(this.#files(id), VOLUME_ON_STAGE);
    const image = this.#image(id);
    return stage.disk(existsSync(image) ? image : `${image}.new`, VOLUME_ON_STAGE);
  }

  /** What a stage of this volume needs to know of. */
  source(id: string): string {
    return this.#options.layout.volume(id);
  }

  /** Whether there is no disk yet, of the record's size. */
  isEmpty(id: string, { diskMb }: VolumeRecord): boolean {
    return diskMb !== null && !existsSync(this.#image(id));
  }

  /** Takes an empty disk that is mounted already, which `complete` makes its own. */
  async adopt(id: string, image: string): Promise<void> {
    await rename(image, `${this.#image(id)}.new`);
  }

  /** The file that empty disks of a size are copies of. */
  template(diskMb: number): string {
    return this.#template(diskMb);
  }

  /** Shell commands before a volume is mounted: an empty disk for a new one, which `complete` makes its own. */
  preparation(id: string, { diskMb }: VolumeRecord): readonly string[] {
    if (diskMb === null || existsSync(this.#image(id))) return [];
    return [words("cp", "--sparse=always", this.#template(diskMb), `${this.#image(id)}.new`)];
  }

  /** The new disk is whole and mounted; a process that sees the mount is given. Nothing inside runs yet. */
  async complete(id: string, record: VolumeRecord, monitor: ProcessIdentity): Promise<void> {
    const image = this.#image(id);
    if (record.diskMb === null || existsSync(image)) return;
    const mount = await findMount(monitor);
    if (mount === undefined) throw new DriverError("The new disk was not mounted", { transient: true });
    makeFolders(mount, record.firstId, record.firstId + COMPUTER.agentUid);
    await rename(`${image}.new`, image);
  }

  /**
   * Shell commands once a volume is mounted at `path`. What is a plain folder gets its folders here, by the one who may give
   * files away. A new computer on an old volume finds nothing but the session's files.
   */
  folders(path: string, record: VolumeRecord, isNew: boolean): readonly string[] {
    const clear = `if [ -d ${path}/session ]; then rm -rf ${path}/root ${path}/layers; find ${path}/tmp -mindepth 1 -delete; fi`;
    return [...(isNew ? [clear] : []), ...(record.diskMb === null ? [this.#foldersByShell(path, record)] : [])];
  }

  #foldersByShell(path: string, { firstId }: VolumeRecord): string {
    const agent = this.#options.mapping.kind === "single" ? firstId : firstId + COMPUTER.agentUid;
    const commands = FOLDERS.flatMap(({ name, mode, owner }) => {
      const id = owner === "host" ? firstId : agent;
      return [`mkdir -m ${mode.toString(8)} ${path}/${name}`, `chown ${id}:${id} ${path}/${name}`];
    });
    return `if [ ! -d ${path}/session ]; then\n${commands.join("\n")}\nfi`;
  }

  /** Brings all that was written onto the machine's disk. */
  async sync(id: string): Promise<void> {
    const record = await this.find(id);
    if (record === undefined || record.diskMb === null) return;
    const image = await open(this.#image(id), "r+").catch(() => undefined);
    try {
      await image?.sync();
    } finally {
      await image?.close();
    }
  }

  /** Brings what was written to a mounted volume into its image; `monitor` is a process that sees the mount. */
  async flush(id: string, monitor: ProcessIdentity): Promise<void> {
    const record = await this.find(id);
    if (record === undefined || record.diskMb === null) return;
    const mount = await findMount(monitor);
    if (mount === undefined) return;
    const { ok, complaint } = await runProgram(["sync", "-f", mount]);
    if (!ok) throw new DriverError(`The volume could not be written out: ${complaint}`, { transient: true });
  }

  /** The end of what the host of a computer that does not run has said. Empty where it can't be had. */
  async readHostLog(id: string, record: VolumeRecord): Promise<string> {
    if (record.diskMb === null) return readFile(join(this.#files(id), HOST_LOG_FILE), "utf8").catch(() => "");
    const stage = new Stage(join(this.source(id), "mounts"), [this.source(id)]);
    const path = this.mount(id, record, stage);
    const script = ["set -e", ...stage.commands, `tail -c ${LOG_TAIL} ${path}/${HOST_LOG_FILE}`].join("\n");
    const { stdout } = await runProgram(["unshare", "--mount", "--", "sh", "-c", script]);
    return stdout.slice(-LOG_TAIL);
  }

  /** The caller has brought the files of a mounted volume into its image. */
  async copy(fromId: string, toId: string, signal: AbortSignal): Promise<"reflink" | "copy"> {
    const { layout, launcher } = this.#options;
    const record = await this.find(fromId);
    if (record === undefined) {
      throw new DriverError("The session whose files are to be copied has no volume", { transient: false });
    }
    const target = layout.volume(toId);
    if ((await this.find(toId)) !== undefined) return "copy";
    await this.remove(toId);
    await mkdir(target, { recursive: true, mode: 0o700 });
    let how: "reflink" | "copy" = "copy";
    if (record.diskMb === null) {
      const from = words("cp", "-a", "--reflink=auto", `${this.#files(fromId)}/.`, `${this.#files(toId)}/`);
      await mkdir(this.#files(toId), { mode: 0o755 });
      await launcher.prepare([from], signal);
    } else {
      how = await copyImage(this.#image(fromId), this.#image(toId), signal);
    }
    await writeRecord(target, record);
    await this.sync(toId);
    return how;
  }

  async remove(id: string): Promise<void> {
    const { layout, mapping, launcher } = this.#options;
    const path = layout.volume(id);
    if (!existsSync(path)) return;
    // First what makes it a volume: a removal that is cut short leaves something that is removed again.
    if (mapping.kind === "given") await launcher.prepare([`rm -rf ${quote(path)}/files`]);
    await rm(path, { recursive: true, force: true });
  }

  #image(id: string): string {
    return join(this.#options.layout.volume(id), "disk.img");
  }

  #files(id: string): string {
    return join(this.#options.layout.volume(id), "files");
  }

  #template(diskMb: number): string {
    return join(this.#options.layout.shared, `disk-${diskMb}.img`);
  }

  /** An empty disk of a size is made once: copying its few blocks takes a tenth of the time. */
  async #ensureTemplate(diskMb: number): Promise<void> {
    if (existsSync(this.#template(diskMb))) return;
    const making = this.#making.get(diskMb) ?? this.#makeTemplate(diskMb).finally(() => this.#making.delete(diskMb));
    this.#making.set(diskMb, making);
    await making;
  }

  async #makeTemplate(diskMb: number): Promise<void> {
    const template = this.#template(diskMb);
    const draft = `${template}.${process.pid}.new`;
    const journal = Math.min(JOURNAL_MB.most, Math.max(JOURNAL_MB.least, Math.floor(diskMb / JOURNAL_MB.share)));
    const settings = [
      "-m",
      "0",
      "-J",
      `size=${journal}`,
      "-E",
      "lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0",
    ];
    const end = await runProgram(["mkfs.ext4", "-q", "-F", ...settings, draft, `${diskMb}M`]);
    if (!end.ok) {
      await rm(draft, { force: true });
      throw new DriverError(`A disk of ${diskMb} MB can't be made: ${end.complaint}`, { transient: false });
    }
    await rename(draft, template);
  }
}

/** Path of a running computer's volume, in the view of a process that sees it. Undefined where it is a plain folder. */
async function findMount({ pid }: ProcessIdentity): Promise<string | undefined> {
  const mounts = parseMounts(await readFile(`/proc/${pid}/mountinfo`, "utf8"));
  const mount = mounts.find(({ type, target }) => type === "ext4" && target.endsWith(`/${VOLUME_ON_STAGE}`));
  return mount && `/proc/${pid}/root${mount.target}`;
}

/** On a disk that nobody has written to yet. At once: a session waits for it, and it takes less than one turn's wait. */
function makeFolders(path: string, hostId: number, agentId: number): void {
  for (const { name, mode, owner } of FOLDERS) {
    const folder = join(path, name);
    const id = owner === "host" ? hostId : agentId;
    mkdirSync(folder);
    chownSync(folder, id, id);
    chmodSync(folder, mode);
  }
}

async function copyImage(from: string, to: string, signal: AbortSignal): Promise<"reflink" | "copy"> {
  const draft = `${to}.new`;
  // A copy that was cut short may still be written by a program that outlived its server; not to this file.
  await rm(draft, { force: true });
  const copy = (reflink: "always" | "auto") =>
    runProgram(["cp", `--reflink=${reflink}`, ...(reflink === "auto" ? ["--sparse=always"] : []), from, draft], {
      signal,
    });
  const shared = await copy("always");
  if (!shared.ok) {
    const plain = await copy("auto");
    if (!plain.ok) {
      await rm(draft, { force: true });
      throw new DriverError(`The files could not be copied: ${plain.complaint}`, { transient: true });
    }
  }
  await rename(draft, to);
  return shared.ok ? "reflink" : "copy";
}
