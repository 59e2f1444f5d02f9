import { mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type ComputerUsage, DriverError } from "../driver.ts";
import type { MountLine } from "../mount-lines.ts";
import { bytesOf, type Cgroups, type ChangeableLimits, isCode, quotaOf, removeGroup, usageOf } from "./cgroups.ts";

const CONTROLLERS = ["memory", "cpu", "pids", "freezer"] as const;
type Controller = (typeof CONTROLLERS)[number];
const FREEZE_PATIENCE_MS = 5000;

/** Each controller has a tree of its own: a computer's group is a folder in each of them. */
export class CgroupV1 implements Cgroups {
  readonly version = "cgroup v1";
  readonly enforced;
  readonly freezes: boolean;
  readonly #parents: ReadonlyMap<Controller, string>;

  private constructor(parents: ReadonlyMap<Controller, string>) {
    this.#parents = parents;
    this.enforced = { cpus: parents.has("cpu"), memory_mb: parents.has("memory"), pids: parents.has("pids") };
    this.freezes = parents.has("freezer");
  }

  /** Undefined where memory and pids can't be limited this way. */
  static async open(mounts: readonly MountLine[], label: string): Promise<CgroupV1 | undefined> {
    const parents = new Map<Controller, string>();
    for (const controller of CONTROLLERS) {
      const mount = mounts.find(({ type, options }) => type === "cgroup" && options.includes(controller));
      if (mount === undefined) continue;
      const parent = join(mount.target, `raworc_${label}`);
      const made = await mkdir(parent, { recursive: true }).then(
        () => true,
        () => false,
      );
      if (made) parents.set(controller, parent);
    }
    return parents.has("memory") && parents.has("pids") ? new CgroupV1(parents) : undefined;
  }

  async create(name: string, limits: ChangeableLimits): Promise<void> {
    await this.#each((parent) => mkdir(join(parent, name), { recursive: true }));
    await this.change(name, limits);
  }

  async change(name: string, limits: ChangeableLimits): Promise<void> {
    const { quota, period } = quotaOf(limits.cpus);
    await Promise.all([
      this.#limitMemory(name, bytesOf(limits.memory_mb)),
      this.#write("cpu", name, "cpu.cfs_period_us", period).then(() =>
        this.#write("cpu", name, "cpu.cfs_quota_us", quota),
      ),
      this.#write("pids", name, "pids.max", limits.pids),
    ]);
  }

  async add(name: string, pid: number): Promise<void> {
    await this.#each((parent) => writeFile(join(parent, name, "cgroup.procs"), String(pid)));
  }

  async freeze(name: string): Promise<void> {
    for (let pause = 1, waited = 0; ; waited += pause, pause = Math.min(pause * 2, 50)) {
      await this.#write("freezer", name, "freezer.state", "FROZEN");
      // The kernel tells nobody when the last task stands still.
      if (await this.isFrozen(name)) return;
      if (waited > FREEZE_PATIENCE_MS) {
        await this.thaw(name);
        throw new DriverError("The computer can't be frozen: a process does not stand still", { transient: true });
      }
      await sleep(pause);
    }
  }

  thaw(name: string): Promise<void> {
    return this.#write("freezer", name, "freezer.state", "THAWED");
  }

  async isFrozen(name: string): Promise<boolean> {
    return (await this.#read("freezer", name, "freezer.state")).trim() === "FROZEN";
  }

  async memoryKills(name: string): Promise<number> {
    const control = await this.#read("memory", name, "memory.oom_control");
    return Number(/^oom_kill (\d+)/m.exec(control)?.[1] ?? 0);
  }

  async usage(name: string): Promise<ComputerUsage | undefined> {
    const [cpu, memory, details] = await Promise.all([
      // Where time is counted apart from where it is limited, it is not counted here.
      this.#read("cpu", name, "cpuacct.usage"),
      this.#read("memory", name, "memory.usage_in_bytes"),
      this.#read("memory", name, "memory.stat"),
    ]);
    return usageOf(cpu, memory, /^total_inactive_file (\d+)/m.exec(details)?.[1] ?? "");
  }

  memoryFolder(name: string): string {
    return join(this.#parents.get("memory") ?? "", name);
  }

  async remove(name: string): Promise<void> {
    // What is frozen can't end.
    await this.thaw(name);
    await this.#each((parent) => removeGroup(join(parent, name)));
  }

  async list(): Promise<readonly string[]> {
    const names = new Set<string>();
    for (const parent of this.#parents.values()) {
      for (const entry of await readdir(parent, { withFileTypes: true }))
        if (entry.isDirectory()) names.add(entry.name);
    }
    return [...names];
  }

  async close(): Promise<void> {
    await this.#each((parent) => rmdir(parent).catch(() => undefined));
  }

  /** Memory with swap can't be less than memory alone, at no moment. */
  async #limitMemory(name: string, bytes: number): Promise<void> {
    const plain = () => this.#write("memory", name, "memory.limit_in_bytes", bytes);
    const withSwap = () => this.#write("memory", name, "memory.memsw.limit_in_bytes", bytes);
    try {
      await plain();
      await withSwap();
    } catch (error) {
      if (isCode(error, "EBUSY")) throw tooSmall(error);
      if (!isCode(error, "EINVAL")) throw error;
      await withSwap();
      await plain();
    }
  }

  async #each(act: (parent: string) => Promise<unknown>): Promise<void> {
    await Promise.all([...this.#parents.values()].map(act));
  }

  /** Controllers and files that this kernel lacks are passed over: `enforced` says which. */
  async #write(controller: Controller, name: string, file: string, value: number | string): Promise<void> {
    const parent = this.#parents.get(controller);
    if (parent === undefined) return;
    await writeFile(join(parent, name, file), String(value), { flag: "r+" }).catch((error: unknown) => {
      if (!isCode(error, "ENOENT")) throw error;
    });
  }

  async #read(controller: Controller, name: string, file: string): Promise<string> {
    const parent = this.#parents.get(controller);
    if (parent === undefined) return "";
    return readFile(join(parent, name, file), "latin1").catch((error: unknown) => {
      if (isCode(error, "ENOENT", "ENODEV")) return "";
      throw error;
    });
  }
}

function tooSmall(cause: unknown): DriverError {
  return new DriverError("The memory limit is below what the computer uses now", { cause, transient: false });
}
