import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

/** Something of an installation that is on the machine; `id` is that of its computer. */
export interface Trace {
  readonly kind: "process" | "mount" | "disk" | "folder" | "control group" | "container" | "volume";
  readonly id: string;
  readonly text: string;
}

interface Process {
  readonly pid: number;
  readonly id: string;
  readonly command: string;
}

/** Where a computer's sockets are mounted; the last part of the mount's source tells whose they are. */
const SOCKETS = / \S+\/([\w-]+) \/run\/raworc\/socket /;
const ID = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/;

/** What one installation has on this machine, seen from outside: processes, mounts, folders, containers and volumes. */
export class Machine {
  readonly runtime: "docker" | "sandbox";
  readonly #home: string;
  /** The label of what the installation makes on the engine. */
  #instance: string | undefined;

  constructor(runtime: "docker" | "sandbox", home: string) {
    this.runtime = runtime;
    this.#home = home;
  }

  /** Learns by a session's computer what else is this installation's. */
  learn(sessionId: string): void {
    if (this.runtime !== "docker" || this.#instance !== undefined) return;
    const format = '{{index .Config.Labels "raworc.instance"}}';
    this.#instance = run("docker", "inspect", "--format", format, `raworc_session_${sessionId}`).trim();
  }

  /** Processes of one computer or of all: those that have its sockets in their view of files. */
  processes(id?: string): Process[] {
    const home = basename(this.#home);
    return readdirSync("/proc").flatMap((name) => {
      if (!/^\d+$/.test(name)) return [];
      try {
        const mounts = readFileSync(`/proc/${name}/mountinfo`, "utf8");
        const owner = idOf(SOCKETS.exec(mounts)?.[1]);
        if (!mounts.includes(home) || owner === undefined || (id !== undefined && owner !== id)) return [];
        const command = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ").trim();
        return [{ pid: Number(name), id: owner, command }];
      } catch {
        return [];
      }
    });
  }

  /** Kills a computer's process 1, or the host itself where that is another one. False when it does not run. */
  killHost(id: string): boolean {
    return killFirst(this.processes(id).filter(({ command }) => command.includes("host.mjs")));
  }

  /** Kills a computer that stands still: its processes end when they go on. */
  killFrozen(id: string): void {
    const processes = this.processes(id);
    const groups = new Set(processes.flatMap(({ pid }) => readFileSync(`/proc/${pid}/cgroup`, "utf8").split("\n")));
    if (!this.killHost(id)) throw new Error(`The computer ${id} does not run`);
    for (const group of groups) {
      const [, version1] = /^\d+:freezer:(\/.+)$/.exec(group) ?? [];
      const [, version2] = /^0::(\/.+)$/.exec(group) ?? [];
      if (version1 !== undefined) writeFileSync(`/sys/fs/cgroup/freezer${version1}/freezer.state`, "THAWED");
      const file = `/sys/fs/cgroup${version2}/cgroup.freeze`;
      if (version2 !== undefined && existsSync(file)) writeFileSync(file, "0");
    }
  }

  /** Kills a worker of an agent. */
  killWorker(id: string): boolean {
    return killFirst(this.processes(id).filter(({ command }) => command.includes("/adapters/")));
  }

  traces(): Trace[] {
    return [
      ...this.processes().map(asTrace),
      ...this.#mounts(),
      ...named("folder", this.#folders()),
      ...this.#groups(),
      ...this.#engineThings(),
    ];
  }

  /** What is there when everything should be gone. */
  remains(): Trace[] {
    return [...this.#engineThings(), ...this.processes().map(asTrace), ...this.#mounts()];
  }

  #mounts(): Trace[] {
    const isOwn = (line: string) => line.includes(basename(this.#home));
    const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
    const disks = run("losetup", "--list", "--noheadings", "--output", "BACK-FILE").split("\n");
    return [...named("mount", mounts.filter(isOwn)), ...named("disk", disks.filter(isOwn))];
  }

  #folders(): string[] {
    const data = join(this.#home, "data");
    return run("find", data, "-maxdepth", "5", "-regextype", "posix-extended", "-regex", ".*/[^/]*-7[0-9a-f]{3}-[^/]*")
      .split("\n")
      .filter((path) => !path.includes("/builds/") && !path.includes("/artifacts/"));
  }

  #groups(): Trace[] {
    if (this.runtime === "docker") return [];
    const [label = "none"] = readdirSync(join(this.#home, "data", "sandbox"));
    const script = 'ls -d /sys/fs/cgroup/raworc_"$1"/*/ /sys/fs/cgroup/*/raworc_"$1"/*/ 2>/dev/null || true';
    return named("control group", run("sh", "-c", script, "list", label).split("\n"));
  }

  #engineThings(): Trace[] {
    if (this.#instance === undefined) return [];
    const filter = ["--filter", `label=raworc.instance=${this.#instance}`];
    return [
      ...named("container", run("docker", "ps", "--all", ...filter, "--format", "{{.Names}}").split("\n")),
      ...named("volume", run("docker", "volume", "ls", ...filter, "--format", "{{.Name}}").split("\n")),
    ];
  }
}

/** Folders of sockets have the id as their name, or its bytes in base64. */
function idOf(name: string | undefined): string | undefined {
  if (name === undefined || ID.test(name)) return name;
  const hex = Buffer.from(name, "base64url").toString("hex");
  return hex.length === 32 ? hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-") : undefined;
}

function asTrace({ pid, id, command }: Process): Trace {
  return { kind: "process", id, text: `${pid} ${command}` };
}

function run(program: string, ...words: string[]): string {
  return execFileSync(program, words, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
}

function named(kind: Trace["kind"], texts: readonly string[]): Trace[] {
  return texts.flatMap((text) => {
    const id = ID.exec(text)?.[0];
    return id === undefined ? [] : [{ kind, id, text }];
  });
}

function killFirst([process]: readonly { readonly pid: number }[]): boolean {
  if (process === undefined) return false;
  try {
    globalThis.process.kill(process.pid, "SIGKILL");
    return true;
  } catch {
    return false;
  }
}
