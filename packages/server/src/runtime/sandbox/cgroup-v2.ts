import { watch } from "node:fs";
import { access, constants, mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type ComputerUsage, DriverError } from "../driver.ts";
import type { MountLine } from "../mount-lines.ts";
import { bytesOf, type Cgroups, type ChangeableLimits, isCode, quotaOf, removeGroup, usageOf } from "./cgroups.ts";

const CONTROLLERS = ["cpu", "memory", "pids"] as const;
const FREEZE_PATIENCE_MS = 5000;

/** One tree for all controllers. As root it begins at the top; else where it was handed to this user. */
export class CgroupV2 implements Cgroups {
  readonly version = "cgroup v2";
  readonly enforced;
  readonly freezes = true;
  readonly #parent: string;

  private constructor(parent: string, controllers: ReadonlySet<string>) {
    this.#parent = parent;
    this.enforced = {
      cpus: controllers.has("cpu"),
      memory_mb: controllers.has("memory"),
      pids: controllers.has("pids"),
    };
  }

  /** Undefined where memory and pids can't be limited this way. */
  static async open(mounts: readonly MountLine[], label: string): Promise<CgroupV2 | undefined> {
    const top = mounts.find(({ type }) => type === "cgroup2")?.target;
    const base = top === undefined ? undefined : await findBase(top);
    if (base === undefined) return undefined;
    const parent = join(base, `raworc_${label}`);
    try {
      await enable(base);
      await mkdir(parent, { recursive: true });
      await enable(parent);
      const enabled = new Set((await readFile(join(parent, "cgroup.subtree_control"), "latin1")).trim().split(" "));
      if (enabled.has("memory") && enabled.has("pids")) return new CgroupV2(parent, enabled);
    } catch (error) {
      if (!isCode(error, "EACCES", "EPERM", "EROFS", "EBUSY", "ENOENT", "EOPNOTSUPP")) throw error;
    }
    await rmdir(parent).catch(() => undefined);
    return undefined;
  }

  async create(name: string, limits: ChangeableLimits): Promise<void> {
    await this.#make(name);
    await this.change(name, limits);
  }

  async change(name: string, limits: ChangeableLimits): Promise<void> {
    const { quota, period } = quotaOf(limits.cpus);
    await Promise.all([
      this.#write(name, "memory.max", bytesOf(limits.memory_mb)),
      this.#write(name, "memory.swap.max", 0),
      this.#write(name, "pids.max", limits.pids),
      this.#write(name, "cpu.max", `${quota} ${period}`),
    ]);
  }

  async add(name: string, pid: number): Promise<void> {
    await writeFile(join(this.#parent, name, "cgroup.procs"), String(pid));
  }

  async freeze(name: string): Promise<void> {
    // The kernel tells of changes of this file; watching begins before the change is asked for.
    const watcher = watch(join(this.#parent, name, "cgroup.events"));
    let change = Promise.withResolvers<boolean>();
    watcher.on("change", () => {
      change.resolve(true);
      change = Promise.withResolvers<boolean>();
    });
    const late = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => late.resolve(false), FREEZE_PATIENCE_MS);
    try {
      await this.#write(name, "cgroup.freeze", 1);
      for (let inTime = true, next = change.promise; !(await this.isFrozen(name)); next = change.promise) {
        if (!inTime) throw await this.#neverStill(name);
        inTime = await Promise.race([next, late.promise]);
      }
    } finally {
      clearTimeout(timer);
      watcher.close();
    }
  }

  async #neverStill(name: string): Promise<DriverError> {
    await this.thaw(name);
    return new DriverError("The computer can't be frozen: a process does not stand still", { transient: true });
  }

  thaw(name: string): Promise<void> {
    return this.#write(name, "cgroup.freeze", 0);
  }

  async isFrozen(name: string): Promise<boolean> {
    return /^frozen 1$/m.test(await this.#read(name, "cgroup.events"));
  }

  async memoryKills(name: string): Promise<number> {
    return Number(/^oom_kill (\d+)$/m.exec(await this.#read(name, "memory.events"))?.[1] ?? 0);
  }

  async usage(name: string): Promise<ComputerUsage | undefined> {
    const files = ["cpu.stat", "memory.current", "memory.stat"].map((file) => this.#read(name, file));
    const [cpu = "", memory = "", details = ""] = await Promise.all(files);
    const microseconds = /^usage_usec (\d+)/m.exec(cpu)?.[1];
    const nanoseconds = microseconds === undefined ? "" : `${microseconds}000`;
    return usageOf(nanoseconds, memory, /^inactive_file (\d+)/m.exec(details)?.[1] ?? "");
  }

  memoryFolder(name: string): string {
    return join(this.#parent, name);
  }

  async remove(name: string): Promise<void> {
    // What is frozen can't end.
    await this.thaw(name);
    await removeGroup(join(this.#parent, name));
  }

  async list(): Promise<readonly string[]> {
    const entries = await readdir(this.#parent, { withFileTypes: true }).catch(() => []);
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  }

  async close(): Promise<void> {
    await rmdir(this.#parent).catch(() => undefined);
  }

  /** The parent goes when another server of this installation closes and finds it empty. */
  async #make(name: string): Promise<void> {
    try {
      await mkdir(join(this.#parent, name));
    } catch (error) {
      if (isCode(error, "EEXIST")) return;
      if (!isCode(error, "ENOENT")) throw error;
      await mkdir(this.#parent, { recursive: true });
      await enable(this.#parent);
      await mkdir(join(this.#parent, name), { recursive: true });
    }
  }

  /** Files of controllers that are not enabled are passed over: `enforced` says which. */
  async #write(name: string, file: string, value: number | string): Promise<void> {
    await writeFile(join(this.#parent, name, file), String(value), { flag: "r+" }).catch((error: unknown) => {
      if (!isCode(error, "ENOENT")) throw error;
    });
  }

  async #read(name: string, file: string): Promise<string> {
    return readFile(join(this.#parent, name, file), "latin1").catch((error: unknown) => {
      if (isCode(error, "ENOENT", "ENODEV")) return "";
      throw error;
    });
  }
}

/**
 * Where groups may be made: the top for root; else the nearest group above this process that its user may change. Moving a
 * process takes the right to do so in the group that is above both places.
 */
async function findBase(top: string): Promise<string | undefined> {
  if (process.getuid?.() === 0) return top;
  const own = /^0::(.+)$/m.exec(await readFile("/proc/self/cgroup", "latin1"))?.[1];
  if (own === undefined) return undefined;
  for (let path = dirname(join(top, own)); path.startsWith(`${top}/`); path = dirname(path)) {
    if ((await mayChange(path)) && (await mayChange(join(path, "cgroup.procs")))) return path;
  }
  return undefined;
}

async function mayChange(path: string): Promise<boolean> {
  return access(path, constants.W_OK).then(
    () => true,
    () => false,
  );
}

/** Hands the controllers that are there down to the groups below. */
async function enable(path: string): Promise<void> {
  const there = new Set((await readFile(join(path, "cgroup.controllers"), "latin1")).trim().split(" "));
  const given = new Set((await readFile(join(path, "cgroup.subtree_control"), "latin1")).trim().split(" "));
  const missing = CONTROLLERS.filter((controller) => there.has(controller) && !given.has(controller));
  if (missing.length === 0) return;
  await writeFile(join(path, "cgroup.subtree_control"), missing.map((controller) => `+${controller}`).join(" "));
}
