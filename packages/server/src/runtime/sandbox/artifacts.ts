import { existsSync } from "node:fs";
import { mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { COMPUTER } from "@raworc/contract";
import { type ArtifactSource, DriverError } from "../driver.ts";
import { BubblewrapArguments, keepCapabilities } from "./bubblewrap.ts";
import { LaunchEnded } from "./launch-talk.ts";
import { artifactFiles } from "./layout.ts";
import { runProgram } from "./programs.ts";
import { mountSystem } from "./root-file-system.ts";
import { quote } from "./shell.ts";
import { Stage } from "./stage.ts";
import type { Surroundings } from "./surroundings.ts";
import { ARTIFACTS_FOLDER } from "./volumes.ts";

const TARGET = "/target";
const LIMITS = { cpus: 2, memory_mb: 1024, pids: 64 };
const NO_SUCH_FOLDER = 3;

/** Copies and then takes off whatever is no file, folder or link, all special bits, and others' right to write. */
const COPY = `set -e
cd -P -- "$1" 2>/dev/null || exit ${NO_SUCH_FOLDER}
case "$(pwd -P)/" in ${COMPUTER.session}/*|${COMPUTER.artifacts}/*) ;; *) exit ${NO_SUCH_FOLDER};; esac
cp -R --no-dereference --preserve=mode,timestamps,links . ${TARGET}
cd ${TARGET}
find . ! -type f ! -type d ! -type l -delete
chmod -R u-s,g-s,-t,u+rwX,go+rX,go-w .`;

/**
 * Folders that sessions get read-only. What a builder left is hostile: it is copied inside a sandbox that sees the builder's
 * volume and the new folder and nothing else of this machine.
 */
export class Artifacts {
  readonly #surroundings: Surroundings;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  has(key: string): boolean {
    return existsSync(this.#surroundings.layout.artifact(key));
  }

  async store(key: string, source: ArtifactSource, signal: AbortSignal): Promise<void> {
    if (this.has(key)) return;
    const { layout } = this.#surroundings;
    const draft = join(layout.drafts, key);
    await this.#removeFolder(draft);
    const files = artifactFiles(draft);
    await mkdir(files, { recursive: true, mode: 0o755 });
    try {
      await this.#copy(key, source, files, signal);
      // What is recorded as built must be whole after the machine has lost its power.
      const { ok, complaint } = await runProgram(["sync", "-f", draft], { signal });
      if (!ok) throw new DriverError(`The artifact could not be written: ${complaint}`, { transient: true });
      await rename(draft, layout.artifact(key)).catch((error: unknown) => {
        if (!this.has(key)) throw error;
      });
      await syncFolder(layout.artifacts);
    } finally {
      await this.#removeFolder(draft);
    }
  }

  async remove(key: string): Promise<void> {
    const { layout } = this.#surroundings;
    const path = layout.artifact(key);
    if (!existsSync(path)) return;
    const draft = join(layout.drafts, `${key}.gone`);
    await this.#removeFolder(draft);
    await rename(path, draft);
    await this.#removeFolder(draft);
  }

  async #copy(key: string, source: ArtifactSource, files: string, signal: AbortSignal): Promise<void> {
    const { cgroups, filters, launcher, mapping, volumes } = this.#surroundings;
    const { computerId } = source;
    const record = await volumes.find(computerId);
    if (record === undefined) throw new DriverError(`There is no builder ${computerId}`, { transient: false });
    const stage = new Stage(`${files}.mounts`, [volumes.source(computerId), files]);
    const volume = volumes.mount(computerId, record, stage);
    const target = stage.folder(files, "target");
    const kept = mapping.kind === "single" ? [] : ["dac_override", "fowner"];
    const wrap = new BubblewrapArguments();
    wrap.add("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net", "--clearenv");
    wrap.add("--setenv", "PATH", "/usr/bin:/bin", ...keepCapabilities(kept));
    mountSystem(wrap);
    wrap.add("--dev", "/dev");
    wrap.readOnly(`${volume}/session`, COMPUTER.session);
    wrap.readOnly(`${volume}/${ARTIFACTS_FOLDER}`, COMPUTER.artifacts);
    wrap.writable(target, TARGET);
    wrap.add("--remount-ro", "/", "--", "sh", "-c", COPY, "copy", source.path);
    const group = `copy-${key}`;
    const logPath = `${files}.log`;
    await writeFile(logPath, "", { mode: 0o600 });
    try {
      const { ended, init } = await launcher.launch({
        preparation: [...stage.commands, `chown ${record.firstId}:${record.firstId} ${quote(target)}`],
        bubblewrap: wrap.words,
        filter: filters.strict,
        firstId: record.firstId,
        root: false,
        lasting: false,
        logPath,
        signal,
        onMonitor: async ({ pid }) => {
          await cgroups?.create(group, LIMITS);
          await cgroups?.add(group, pid);
        },
      });
      const stop = () => process.kill(init.pid, "SIGKILL");
      signal.addEventListener("abort", stop);
      const code = await ended;
      signal.removeEventListener("abort", stop);
      signal.throwIfAborted();
      if (code === 0) return;
      if (code === NO_SUCH_FOLDER) {
        throw new DriverError(`The builder has no folder ${JSON.stringify(source.path)}`, { transient: false });
      }
      throw new LaunchEnded();
    } catch (error) {
      if (!(error instanceof LaunchEnded)) throw error;
      const said = (await readFile(logPath, "utf8")).trim().slice(-2000);
      throw new DriverError(`The artifact could not be copied: ${said}`, { cause: error, transient: true });
    } finally {
      for (const path of [logPath, `${files}.mounts`]) await rm(path, { force: true });
      await cgroups?.remove(group);
    }
  }

  /** Files may belong to ids that only a namespace of the user's own can touch. */
  async #removeFolder(path: string): Promise<void> {
    if (!existsSync(path)) return;
    const { launcher, mapping } = this.#surroundings;
    if (mapping.kind === "given") await launcher.prepare([`rm -rf ${quote(path)}`]);
    await rm(path, { recursive: true, force: true });
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
