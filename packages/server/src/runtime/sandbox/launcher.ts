import { type ChildProcess, spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import type { Readable, Writable } from "node:stream";
import { z } from "zod";
import { DriverError } from "../driver.ts";
import { type IdMapping, mapText } from "./id-map.ts";
import { identify, type ProcessIdentity, signalProcess, treeOf } from "./process-identity.ts";
import { runProgram, SYSTEM_PATH } from "./programs.ts";
import { quote, words } from "./shell.ts";

export interface LaunchPlan {
  /** Shell commands before bubblewrap, as the stage's root: they mount what it is to find. */
  readonly preparation: readonly string[];
  /** Bubblewrap's arguments, the command inside included. */
  readonly bubblewrap: readonly string[];
  /** File with the system call filter. */
  readonly filter: string;
  readonly firstId: number;
  /** Whether more than the two usual ids are needed inside. */
  readonly root: boolean;
  /** Whether it goes on when this process ends. */
  readonly lasting: boolean;
  /** Gets what the launch says on the way, errors above all. */
  readonly logDescriptor: number;
  /** Called before anything inside runs, with the process that outlives everything inside. */
  readonly onMonitor: (monitor: ProcessIdentity) => Promise<void>;
  /** Called once everything is mounted, before anything inside runs. */
  readonly onStaged?: (monitor: ProcessIdentity) => Promise<void>;
  readonly signal: AbortSignal;
}

export interface Launched {
  readonly monitor: ProcessIdentity;
  /** Process 1 inside. */
  readonly init: ProcessIdentity;
  /** Exit code once everything inside has ended and all mounts are gone; null after a signal. */
  readonly ended: Promise<number | null>;
}

const Information = z.object({ "child-pid": z.number().int() });
const INFORMATION_MAX = 4096;

// Descriptors of a launch: what it tells, leave to go on, the filter, and leave to map in a namespace of the user's own.
const TOLD = 3;
const LEAVE = 4;
const MAPPING = 5;
const FILTER = 9;

/** Waits in the new user namespace for its ids, takes those of root there, and becomes bubblewrap. */
const INNER = [
  `echo inner >&${TOLD}; read -r go <&${LEAVE} || exit 125`,
  `exec ${LEAVE}<&- ; exec setpriv --reuid 0 --regid 0 --clear-groups -- bwrap --info-fd ${TOLD} --seccomp ${FILTER} "$@"`,
].join("\n");

/** The same where there is no other id: the user's own namespace is the computer's. */
const SINGLE = `echo inner >&${TOLD}; read -r go <&${LEAVE} || exit 125
exec ${LEAVE}<&- ; exec bwrap --info-fd ${TOLD} --seccomp ${FILTER} "$@"`;

/**
 * Starts computers: a private mount namespace, the stage in it, a user namespace whose root is an id of its own, and
 * bubblewrap for everything else. The process tree belongs to nobody: it lives on when the control plane ends.
 */
export class Launcher {
  readonly #mapping: IdMapping;

  constructor(mapping: IdMapping) {
    this.#mapping = mapping;
  }

  /** Throws DriverError with what the launch said is left to the caller, who has its log. Rejects with the signal's reason. */
  async launch(plan: LaunchPlan): Promise<Launched> {
    plan.signal.throwIfAborted();
    const child = this.#spawn(plan);
    const ended = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
    const talk = new Talk(child);
    const stop = () => talk.close();
    plan.signal.addEventListener("abort", stop);
    let monitor: ProcessIdentity | undefined;
    try {
      monitor = child.pid === undefined ? undefined : identify(child.pid);
      if (monitor === undefined) throw new LaunchEnded();
      if (this.#mapping.kind === "given") {
        await talk.expect("outer");
        await this.#mapOuter(monitor.pid, plan.signal);
        talk.say(LEAVE);
      }
      await Promise.all([talk.expect("inner"), plan.onMonitor(monitor)]);
      await plan.onStaged?.(monitor);
      if (this.#mapping.kind === "own") await writeMaps(monitor.pid, plan);
      if (this.#mapping.kind === "given") {
        talk.say(MAPPING);
        await talk.expect("mapped");
      }
      plan.signal.throwIfAborted();
      talk.say(LEAVE);
      const init = identify(await talk.childPid());
      if (init === undefined) throw new LaunchEnded();
      if (plan.lasting) child.unref();
      return { monitor, init, ended };
    } catch (error) {
      if (monitor !== undefined) for (const process of treeOf(monitor)) signalProcess(process, "SIGKILL");
      await ended;
      plan.signal.throwIfAborted();
      throw error;
    } finally {
      plan.signal.removeEventListener("abort", stop);
      talk.close();
    }
  }

  /** Runs shell commands as the stage's root: the machine's, or that of the user's own namespace. */
  async prepare(commands: readonly string[], signal?: AbortSignal): Promise<void> {
    const script = ["set -e", ...commands].join("\n");
    const { kind } = this.#mapping;
    if (kind !== "given") {
      const user = kind === "own" ? [] : ["--user", "--map-root-user"];
      const end = await runProgram(["unshare", ...user, "--mount", "--", "sh", "-c", script], signal ? { signal } : {});
      if (!end.ok) throw new DriverError(`Files could not be prepared: ${end.complaint}`, { transient: true });
      return;
    }
    const waiting = `echo outer >&${TOLD}; read -r go <&${LEAVE} || exit 125\n${script}`;
    const child = spawn("unshare", ["--user", "--mount", "--keep-caps", "--", "sh", "-c", waiting], {
      env: { PATH: SYSTEM_PATH, LC_ALL: "C" },
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
    });
    const ended = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
    const talk = new Talk(child);
    try {
      await talk.expect("outer");
      await this.#mapOuter(child.pid ?? 0, signal);
      talk.say(LEAVE);
      const code = await ended;
      if (code !== 0) throw new DriverError(`Files could not be prepared (status ${code})`, { transient: true });
    } finally {
      talk.close();
    }
  }

  #spawn(plan: LaunchPlan): ChildProcess {
    const steps = ["set -e", ...plan.preparation, `exec ${FILTER}<${quote(plan.filter)}`];
    const inner = ["unshare", "--user", "--keep-caps", "--", "sh", "-c", INNER, "sh"];
    const outer = this.#outer(plan, steps, inner);
    const log = plan.logDescriptor;
    return spawn("unshare", [...outer, "sh", ...plan.bubblewrap], {
      cwd: "/",
      env: { PATH: SYSTEM_PATH, LC_ALL: "C" },
      detached: true,
      stdio: ["ignore", log, log, "pipe", "pipe", "pipe"],
    });
  }

  #outer(plan: LaunchPlan, steps: readonly string[], inner: readonly string[]): string[] {
    const shell = (script: readonly string[]): string[] => ["--", "sh", "-c", script.join("\n")];
    switch (this.#mapping.kind) {
      case "own":
        return ["--mount", ...shell([...steps, `exec ${MAPPING}<&-`, `exec ${words(...inner)} "$@"`])];
      case "single":
        return ["--user", "--map-root-user", "--mount", ...shell([...steps, `exec ${MAPPING}<&-`, SINGLE])];
      case "given": {
        // Only a process of the outer namespace may map the inner one, so this shell stays and waits for it.
        const map = quote(mapText(plan.firstId, plan.root));
        const stay = [
          `${words(...inner)} "$@" ${MAPPING}<&- &`,
          `child=$!; exec ${LEAVE}<&-; read -r go <&${MAPPING} || exit 125; exec ${MAPPING}<&-`,
          `printf %s ${map} >/proc/$child/uid_map; printf %s ${map} >/proc/$child/gid_map`,
          `echo mapped >&${TOLD}; exec ${TOLD}>&- ${FILTER}<&-; wait $child`,
        ];
        const first = `echo outer >&${TOLD}; read -r go <&${LEAVE} || exit 125`;
        return ["--user", "--mount", "--keep-caps", ...shell([first, ...steps, ...stay])];
      }
    }
  }

  async #mapOuter(pid: number, signal?: AbortSignal): Promise<void> {
    const mapping = this.#mapping;
    if (mapping.kind !== "given") return;
    const map = (program: string, own: number | undefined, range: { first: number; count: number }) =>
      runProgram(
        [program, String(pid), "0", String(own ?? 0), "1", "1", String(range.first), String(range.count)],
        signal ? { signal } : {},
      );
    const ends = await Promise.all([
      map("newuidmap", process.getuid?.(), mapping.uid),
      map("newgidmap", process.getgid?.(), mapping.gid),
    ]);
    for (const { ok, complaint } of ends) {
      if (!ok) throw new DriverError(`The user's range of ids can't be used: ${complaint}`, { transient: false });
    }
  }
}

async function writeMaps(pid: number, plan: LaunchPlan): Promise<void> {
  const text = mapText(plan.firstId, plan.root);
  await writeFile(`/proc/${pid}/uid_map`, text, { flag: "r+" });
  await writeFile(`/proc/${pid}/gid_map`, text, { flag: "r+" });
}

/** The launch ended before a computer was there; its log says why. */
export class LaunchEnded extends Error {
  override readonly name = "LaunchEnded";
}

/** Lines that a launch says, and the leave that it waits for. */
class Talk {
  readonly #child: ChildProcess;
  #text = "";
  #closed = false;
  #wake: () => void = () => undefined;

  constructor(child: ChildProcess) {
    this.#child = child;
    const told = child.stdio[TOLD] as Readable;
    told.setEncoding("latin1");
    told.on("data", (piece: string) => {
      if (this.#text.length < INFORMATION_MAX) this.#text += piece;
      this.#wake();
    });
    const close = () => {
      this.#closed = true;
      this.#wake();
    };
    told.on("close", close);
    told.on("error", close);
    child.on("error", close);
    for (const descriptor of [LEAVE, MAPPING]) child.stdio[descriptor]?.on("error", () => undefined);
  }

  /** Throws LaunchEnded. */
  async expect(line: string): Promise<void> {
    await this.#until((text) => (text.startsWith(`${line}\n`) ? true : undefined));
    this.#text = this.#text.slice(line.length + 1);
  }

  /** Throws LaunchEnded. */
  childPid(): Promise<number> {
    return this.#until((text) => {
      if (!text.includes("}")) return undefined;
      return Information.parse(JSON.parse(text.slice(0, text.indexOf("}") + 1)))["child-pid"];
    });
  }

  say(descriptor: number): void {
    (this.#child.stdio[descriptor] as Writable | null | undefined)?.write("go\n");
  }

  close(): void {
    for (const descriptor of [TOLD, LEAVE, MAPPING]) (this.#child.stdio[descriptor] as Readable | undefined)?.destroy();
  }

  async #until<T>(find: (text: string) => T | undefined): Promise<T> {
    for (;;) {
      const found = find(this.#text);
      if (found !== undefined) return found;
      if (this.#closed) throw new LaunchEnded();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
