import { writeFile } from "node:fs/promises";
import { DriverError } from "../driver.ts";
import type { SpawnedProgram } from "../spawner/spawned-program.ts";
import type { Spawner } from "../spawner/spawner.ts";
import { type IdMapping, mapText } from "./id-map.ts";
import { DESCRIPTORS, LaunchEnded, LaunchTalk, LEAVE, MAPPING, TOLD } from "./launch-talk.ts";
import { identify, type ProcessIdentity, signalProcess, treeOf } from "./process-identity.ts";
import { runProgram, SYSTEM_PATH } from "./programs.ts";
import { quote, words } from "./shell.ts";
import type { Standby } from "./standby.ts";

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
  /** File that gets what the launch says on the way, errors above all. */
  readonly logPath: string;
  /** A launch that was begun before, and the file by which it is told the rest. */
  readonly standby?: { readonly begun: Standby; readonly scriptPath: string } | undefined;
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
  /** Exit code once everything inside has ended and all mounts are gone; null after a signal, or where it isn't known. */
  readonly ended: Promise<number | null>;
}

const FILTER = 9;

/** A launch's process, with what it tells. */
export interface Begun {
  readonly program: SpawnedProgram;
  readonly talk: LaunchTalk;
}

/** Ends a launch that nobody goes on with. */
export function endBegun({ program, talk }: Begun): void {
  talk.close();
  program.kill();
}

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
  readonly #spawner: Spawner;

  constructor(mapping: IdMapping, spawner: Spawner) {
    this.#mapping = mapping;
    this.#spawner = spawner;
  }

  /** Throws DriverError with what the launch said is left to the caller, who has its log. Rejects with the signal's reason. */
  async launch(plan: LaunchPlan): Promise<Launched> {
    plan.signal.throwIfAborted();
    const { program, talk } = plan.standby === undefined ? this.#spawn(plan) : await this.#goOn(plan, plan.standby);
    const { ended } = program;
    const stop = () => talk.close();
    plan.signal.addEventListener("abort", stop);
    let monitor: ProcessIdentity | undefined;
    try {
      const pid = await program.pid;
      monitor = pid === undefined ? undefined : identify(pid);
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
      if (plan.lasting) program.letGo();
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
    const { program, talk } = this.#begin(
      ["unshare", "--user", "--mount", "--keep-caps", "--", "sh", "-c", waiting],
      null,
    );
    try {
      await talk.expect("outer");
      await this.#mapOuter((await program.pid) ?? 0, signal);
      talk.say(LEAVE);
      const code = await program.ended;
      if (code !== 0) throw new DriverError(`Files could not be prepared (status ${code})`, { transient: true });
    } finally {
      talk.close();
    }
  }

  #spawn(plan: LaunchPlan): Begun {
    const inner = ["unshare", "--user", "--keep-caps", "--", "sh", "-c", INNER, "sh"];
    const outer = this.#outer(plan, this.#steps(plan), inner);
    return this.#begin(["unshare", ...outer, "sh", ...plan.bubblewrap], plan.logPath);
  }

  #begin(words: readonly [string, ...string[]], log: string | null): Begun {
    const environment = { PATH: SYSTEM_PATH, LC_ALL: "C" };
    const program = this.#spawner.start({ words, environment, log, ...DESCRIPTORS });
    return { program, talk: new LaunchTalk(program) };
  }

  /** Where root may map any id: the same steps as those of a launch of its own. */
  async #goOn(plan: LaunchPlan, { begun, scriptPath }: NonNullable<LaunchPlan["standby"]>): Promise<Begun> {
    const inner = ["unshare", "--user", "--keep-caps", "--", "sh", "-c", INNER, "sh", ...plan.bubblewrap];
    const steps = [`exec >>${quote(plan.logPath)} 2>&1`, ...this.#steps(plan), `exec ${MAPPING}<&-`];
    await writeFile(scriptPath, `${[...steps, `exec ${words(...inner)}`].join("\n")}\n`);
    begun.talk.say(MAPPING, scriptPath);
    return begun;
  }

  #steps(plan: LaunchPlan): readonly string[] {
    return ["set -e", ...plan.preparation, `exec ${FILTER}<${quote(plan.filter)}`];
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
