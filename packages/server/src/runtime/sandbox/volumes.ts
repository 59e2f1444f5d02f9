import { existsSync } from "node:fs";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { COMPUTER } from "@raworc/contract";
import { type ComputerKind, DriverError } from "../driver.ts";
import { readRecord, VolumeRecord, writeRecord } from "./computer-record.ts";
import { firstIdOf, type IdMapping } from "./id-map.ts";
import type { Launcher } from "./launcher.ts";
import type { Layout } from "./layout.ts";
import { parseMounts } from "./mount-lines.ts";
import type { ProcessIdentity } from "./process-identity.ts";
import { runProgram } from "./programs.ts";
import { quote, words } from "./shell.ts";
import { Stage } from "./stage.ts";

export interface VolumesOptions {
  readonly layout: Layout;
  readonly mapping: IdMapping;
  readonly launcher: Launcher;
  /** Whether volumes are file systems of a fixed size of their own. */
  readonly sized: boolean;
}

/** Folder of a builder's volume that is at COMPUTER.artifacts inside. */
export const ARTIFACTS_FOLDER = "artifacts";

/** Folders of a new volume: by their modes, and by whose they are. */
const FOLDERS = {
  open: ["session", "session/tmp", "tmp"],
  plain: ["session/workspace", "session/cache", "session/logs", "session/agents", ARTIFACTS_FOLDER],
  closed: ["session/state", "log"],
  hosts: ["session", "session/logs", "session/agents", "session/state", "tmp"],
  agents: ["session/tmp", "session/workspace", "session/cache", ARTIFACTS_FOLDER],
} as const;

const MOUNT_NAME = "volume";
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
    if (record.diskMb === null) return stage.folder(this.#files(id), MOUNT_NAME);
    const image = this.#image(id);
    return stage.disk(existsSync(image) ? image : `${image}.new`, MOUNT_NAME);
  }

  /** What a stage of this volume needs to know of. */
  source(id: string): string {
    return this.#options.layout.volume(id);
  }

  /** Shell commands before a volume is mounted: an empty disk for a new one, which `complete` makes its own. */
  preparation(id: string, { diskMb }: VolumeRecord): readonly string[] {
    if (diskMb === null || existsSync(this.#image(id))) return [];
    return [words("cp", "--sparse=always", this.#template(diskMb), `${this.#image(id)}.new`)];
  }

  /** The new disk is whole and mounted. */
  async complete(id: string, { diskMb }: VolumeRecord): Promise<void> {
    const image = this.#image(id);
    if (diskMb !== null && !existsSync(image)) await rename(`${image}.new`, image);
  }

  /**
   * Shell commands once it is mounted at `path`. uid 0 inside owns `/session`, whose sticky bit keeps agents from moving the
   * host's folders away. The host makes what is missing of its folders, which takes it longer. A new computer on an old
   * volume finds nothing but the session's files.
   */
  folders(path: string, record: VolumeRecord, isNew: boolean): readonly string[] {
    const { firstId } = record;
    const agent = this.#options.mapping.kind === "single" ? firstId : firstId + COMPUTER.agentUid;
    const made = (names: readonly string[]): string => names.map((name) => `${path}/${name}`).join(" ");
    const make = [
      `mkdir -m 1777 ${made(FOLDERS.open)}`,
      `mkdir -m 0755 ${made(FOLDERS.plain)}`,
      `mkdir -m 0700 ${made(FOLDERS.closed)}`,
      `chown ${firstId}:${firstId} ${made(FOLDERS.hosts)}`,
      `chown ${agent}:${agent} ${made(FOLDERS.agents)}`,
    ];
    const clear = `rm -rf ${path}/root ${path}/layers; find ${path}/tmp -mindepth 1 -delete`;
    return [`if [ ! -d ${path}/log ]; then\n${make.join("\n")}\n${isNew ? `else\n${clear}\n` : ""}fi`];
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
    const mounts = parseMounts(await readFile(`/proc/${monitor.pid}/mountinfo`, "utf8"));
    const mount = mounts.find(({ type, target }) => type === "ext4" && target.endsWith(`/${MOUNT_NAME}`));
    if (mount === undefined) return;
    const { ok, complaint } = await runProgram(["sync", "-f", `/proc/${monitor.pid}/root${mount.target}`]);
    if (!ok) throw new DriverError(`The volume could not be written out: ${complaint}`, { transient: true });
  }

  /** The end of what the host of a computer that does not run has said. Empty where it can't be had. */
  async readHostLog(id: string, record: VolumeRecord): Promise<string> {
    if (record.diskMb === null) return readFile(join(this.#files(id), "log/host.log"), "utf8").catch(() => "");
    const stage = new Stage(join(this.source(id), "mounts"), [this.source(id)]);
    const path = this.mount(id, record, stage);
    const script = ["set -e", ...stage.commands, `tail -c ${LOG_TAIL} ${path}/log/host.log`].join("\n");
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

async function copyImage(from: string, to: string, signal: AbortSignal): Promise<"reflink" | "copy"> {
  const draft = `${to}.new`;
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
