import { chmod, chown, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { COMPUTER, type Limits } from "@raworc/contract";
import { type ComputerSpec, type ComputerUsage, DriverError, type ObservedComputer } from "../driver.ts";
import { HostConnection } from "../host-connection.ts";
import { type ComputerEnds, waitForEnd } from "./computer-ends.ts";
import { planComputer } from "./computer-plan.ts";
import { ComputerRecord, readRecord, type VolumeRecord, writeRecord } from "./computer-record.ts";
import { LaunchEnded } from "./launch-talk.ts";
import { endBegun, type Launched } from "./launcher.ts";
import { countTree, isAlive, type ProcessIdentity, signalProcess, treeOf } from "./process-identity.ts";
import { hostAnswers, hostReady } from "./readiness.ts";
import { quote } from "./shell.ts";
import type { Standby } from "./standby.ts";
import { type Standstill, standstillBy } from "./standstill.ts";
import type { Surroundings } from "./surroundings.ts";
import type { WayOut } from "./way-out.ts";

/** From the launch to the host's answer, on a machine that has other things to do. */
const READY_PATIENCE_MS = 60_000;
const LOG_TAIL = 2000;
const LAUNCH_LOG = "launch.log";
const LAUNCH_SCRIPT = "launch.sh";
/** What Linux tells programs on all architectures, whatever it uses itself. */
const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4096;

/** A record with a process that lives. */
type Living = ComputerRecord & { readonly monitor: ProcessIdentity };

/** Makes, stops and removes the computers themselves. One operation at a time for each id; the caller sees to that. */
export class Computers {
  readonly #surroundings: Surroundings;
  readonly #ends: ComputerEnds;
  readonly #wayOut: WayOut;
  readonly #standstill: Standstill;

  constructor(surroundings: Surroundings, ends: ComputerEnds, wayOut: WayOut) {
    this.#surroundings = surroundings;
    this.#ends = ends;
    this.#wayOut = wayOut;
    this.#standstill = standstillBy(surroundings.cgroups);
  }

  /**
   * Watches what another control plane left running, and removes control groups that nothing is left of. Other servers may
   * be at work: the way out of a computer is served by the one that starts it, and a group is made after its record.
   */
  async takeUpAll(): Promise<void> {
    const { layout, cgroups } = this.#surroundings;
    const groups = (await cgroups?.list()) ?? [];
    const ids = await readdir(layout.computers);
    for (const id of ids) {
      const record = await this.#living(id);
      if (record !== undefined) this.#ends.watchHost(id, layout.reachSockets(id), record.monitor);
    }
    for (const name of groups) {
      if (!ids.includes(name) && !name.startsWith("copy-")) await cgroups?.remove(name);
    }
  }

  async start(spec: ComputerSpec, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { layout } = this.#surroundings;
    const record = await this.#living(spec.id);
    if (record === undefined) return this.#launch(spec, signal);
    await this.changeLimits(spec.id, spec.limits);
    const sockets = layout.reachSockets(spec.id);
    await this.#wayOut.serve(spec.id, spec.network);
    if (!this.#ends.isWatched(spec.id)) this.#ends.watchHost(spec.id, sockets, record.monitor);
    await this.thaw(spec.id);
    await hostAnswers(sockets, patience(signal));
  }

  async stop(id: string, graceMs: number): Promise<void> {
    const record = await this.#living(id);
    if (record !== undefined) {
      this.#ends.forget(id);
      await this.thaw(id);
      if (!(await this.#askToEnd(id, record, graceMs))) await this.#kill(id, record);
    }
    await this.#settle(id);
    await this.#surroundings.volumes.sync(id);
  }

  async freeze(id: string): Promise<void> {
    const record = await this.#living(id);
    if (record === undefined) throw new DriverError("The computer does not run", { transient: true });
    await this.#standstill.freeze(id, initOf(record));
  }

  async thaw(id: string): Promise<void> {
    const record = await this.#living(id);
    if (record === undefined) return;
    if (await this.#standstill.isFrozen(id, initOf(record))) await this.#standstill.thaw(id, initOf(record));
  }

  /** Folder of the control group for memory of a computer that stands still. */
  async frozenMemory(id: string): Promise<string | undefined> {
    const record = await this.#living(id);
    if (record === undefined || !(await this.#standstill.isFrozen(id, initOf(record)))) return undefined;
    return this.#surroundings.cgroups?.memoryFolder(id);
  }

  async changeLimits(id: string, limits: Limits): Promise<void> {
    if ((await this.#living(id)) !== undefined) await this.#surroundings.cgroups?.change(id, limits);
  }

  async usage(id: string): Promise<ComputerUsage> {
    const record = await this.#living(id);
    if (record === undefined) return { cpuSeconds: 0, memoryBytes: 0 };
    const counted = await this.#surroundings.cgroups?.usage(id);
    if (counted !== undefined) return counted;
    const { pages, ticks } = countTree(record.monitor);
    return { cpuSeconds: ticks / TICKS_PER_SECOND, memoryBytes: pages * PAGE_BYTES };
  }

  async remove(id: string): Promise<void> {
    const { layout, launcher, mapping } = this.#surroundings;
    const record = await this.#living(id);
    if (record !== undefined) {
      this.#ends.forget(id);
      await this.#kill(id, record);
    }
    await this.#settle(id);
    const sockets = layout.socketDirectory(id);
    await rm(layout.computer(id), { recursive: true, force: true });
    await rm(sockets, { recursive: true, force: true }).catch(async (error: unknown) => {
      // The host made folders of its own there, under an id that this user is not.
      if (mapping.kind !== "given") throw error;
      await launcher.prepare([`rm -rf ${quote(sockets)}`]);
    });
  }

  /** Brings what is written in a running computer into its disk image. */
  async flush(id: string): Promise<void> {
    const record = await this.#living(id);
    if (record === undefined) return;
    await this.#surroundings.volumes.flush(id, record.monitor);
  }

  async observe(id: string): Promise<ObservedComputer> {
    const { layout, volumes, cgroups } = this.#surroundings;
    const [record, volume] = await Promise.all([readRecord(layout.computer(id), ComputerRecord), volumes.find(id)]);
    const living = record !== undefined && hasMonitor(record) && isAlive(record.monitor) ? record : undefined;
    const frozen = living !== undefined && (await this.#standstill.isFrozen(id, initOf(living)));
    const died = record !== undefined && record.monitor !== null && living === undefined;
    return {
      id,
      kind: record?.kind ?? volume?.kind ?? "session",
      status: record === undefined ? "absent" : living === undefined ? "stopped" : frozen ? "frozen" : "running",
      containerId: record === undefined ? null : `raworc_session_${id}`,
      volumeId: volume === undefined ? null : `raworc_session_data_${id}`,
      // A computer that was stopped on purpose has no group any more.
      outOfMemory: died && ((await cgroups?.memoryKills(id)) ?? 0) > 0,
    };
  }

  async #launch(spec: ComputerSpec, signal: AbortSignal): Promise<void> {
    const { layout, launcher, volumes } = this.#surroundings;
    const { id } = spec;
    const directory = layout.computer(id);
    const isNew = (await readRecord(directory, ComputerRecord)) === undefined;
    if (!isNew) await this.#settle(id);
    const volume = await volumes.ensure(id, spec.kind, spec.limits.disk_mb);
    await this.#makeSocketDirectory(id, volume);
    const record: ComputerRecord = {
      kind: spec.kind,
      network: spec.network,
      monitor: null,
      init: null,
    };
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const logPath = join(directory, LAUNCH_LOG);
    await writeFile(logPath, "", { mode: 0o600 });
    let launched: Launched | undefined;
    let standby: Standby | undefined;
    let ahead: Promise<void> | undefined;
    try {
      const { etcFolder, rootDirectory } = this.#surroundings;
      const etc = rootDirectory === null && !spec.root ? await etcFolder.current() : null;
      standby = await this.#standbyFor(spec, volume);
      // The kernel takes its time to move a process into a group, in which the rest of the launch goes on.
      const pid = await standby?.program.pid;
      ahead = pid === undefined ? undefined : this.#limit(spec, pid);
      ahead?.catch(() => undefined);
      const plan = planComputer(this.#surroundings, spec, { volumeRecord: volume, isNew, etcFolder: etc, standby });
      launched = await launcher.launch({
        ...plan,
        firstId: volume.firstId,
        root: spec.root,
        lasting: true,
        logPath,
        standby: standby && { begun: standby, scriptPath: join(directory, LAUNCH_SCRIPT) },
        signal,
        onMonitor: async (monitor) => {
          await allDone([
            writeRecord(directory, { ...record, monitor }),
            this.#wayOut.serve(id, spec.network),
            ahead ?? this.#limit(spec, monitor.pid),
          ]);
        },
        onStaged: (monitor) => volumes.complete(id, volume, monitor),
      });
      const { monitor, init } = launched;
      await writeRecord(directory, { ...record, monitor, init });
      this.#prepareNext(spec, volume, plan.place);
      await this.#ready(id, launched, signal);
      this.#ends.watchChild(id, layout.reachSockets(id), launched);
    } catch (error) {
      if (standby !== undefined && launched === undefined) endBegun(standby);
      await ahead?.catch(() => undefined);
      if (launched !== undefined) {
        await this.#kill(id, { ...record, ...launched });
        await launched.ended;
      }
      const reason = error instanceof LaunchEnded ? await this.#explain(id, volume, error) : error;
      await this.#settle(id);
      throw reason;
    }
  }

  async #limit({ id, limits }: ComputerSpec, pid: number): Promise<void> {
    const { cgroups } = this.#surroundings;
    await cgroups?.create(id, limits);
    await cgroups?.add(id, pid);
  }

  /** Sessions alone have the same disk and stage as the one before. */
  async #standbyFor({ id, kind }: ComputerSpec, volume: VolumeRecord): Promise<Standby | undefined> {
    const { standbys, volumes } = this.#surroundings;
    if (kind !== "session" || volume.diskMb === null || !volumes.isEmpty(id, volume)) return undefined;
    const standby = standbys.take(volume.diskMb);
    if (standby === undefined) return undefined;
    try {
      await volumes.adopt(id, standby.image);
      return standby;
    } catch (error) {
      endBegun(standby);
      throw error;
    }
  }

  #prepareNext({ kind }: ComputerSpec, { diskMb }: VolumeRecord, place: string): void {
    const { standbys, volumes } = this.#surroundings;
    if (kind !== "session" || diskMb === null) return;
    standbys.refill({ diskMb, place, template: volumes.template(diskMb) });
  }

  async #ready(id: string, { ended }: Launched, signal: AbortSignal): Promise<void> {
    const leaving = new AbortController();
    const early = ended.then(() => {
      throw new LaunchEnded();
    });
    try {
      const socketDirectory = this.#surroundings.layout.reachSockets(id);
      const ready = hostReady(socketDirectory, AbortSignal.any([patience(signal), leaving.signal]));
      await Promise.race([ready, early]);
    } finally {
      leaving.abort();
    }
  }

  /** What a launch that ended by itself has said. */
  async #explain(id: string, volume: VolumeRecord, cause: LaunchEnded): Promise<DriverError> {
    const { layout, volumes } = this.#surroundings;
    const launch = await readFile(join(layout.computer(id), LAUNCH_LOG), "utf8").catch(() => "");
    const host = await volumes.readHostLog(id, volume);
    const said = `${launch}\n${host}`.trim().slice(-LOG_TAIL);
    this.#surroundings.log.warn({ computer: id, said }, "a computer ended while it started");
    return new DriverError(`The computer ended while it started: ${said || "it said nothing"}`, {
      cause,
      transient: true,
    });
  }

  /** On this machine its folder belongs to the host; where no id can be given, folders above keep others out. */
  async #makeSocketDirectory(id: string, { firstId }: VolumeRecord): Promise<void> {
    const { layout, mapping } = this.#surroundings;
    const path = layout.socketDirectory(id);
    await mkdir(path, { recursive: true, mode: 0o700 });
    if (mapping.kind === "own") await chown(path, firstId, firstId);
    if (mapping.kind === "given") await chmod(path, 0o777);
    await rm(join(path, COMPUTER.hostSocket), { force: true });
  }

  /** False where it did not end in time. */
  async #askToEnd(id: string, { monitor }: Living, graceMs: number): Promise<boolean> {
    if (graceMs <= 0) return false;
    const connection = new HostConnection(this.#surroundings.layout.reachSockets(id));
    try {
      await connection.shutdown(AbortSignal.timeout(graceMs));
    } catch {
      return false;
    } finally {
      connection.close();
    }
    return waitForEnd(monitor, graceMs);
  }

  async #kill(id: string, record: Living): Promise<void> {
    const { monitor, init } = record;
    // With process 1 the kernel ends all others; before it is known, all that the launch has started.
    const processes = init === null ? treeOf(monitor) : [init];
    for (const process of processes) signalProcess(process, "SIGKILL");
    // What is frozen dies when it thaws.
    if (await this.#standstill.isFrozen(id, initOf(record))) await this.#standstill.thaw(id, initOf(record));
    if (await waitForEnd(monitor)) return;
    throw new DriverError("The computer's processes did not end when they were killed", { transient: true });
  }

  /** After the end: nothing stays but what is recorded and the volume. */
  async #settle(id: string): Promise<void> {
    const { layout, cgroups } = this.#surroundings;
    const directory = layout.computer(id);
    const record = await readRecord(directory, ComputerRecord);
    this.#ends.forget(id);
    await this.#wayOut.end(id);
    await rm(join(layout.socketDirectory(id), COMPUTER.hostSocket), { force: true });
    // Where the outer process was killed from outside, those inside live on.
    if (record?.init && signalProcess(record.init, "SIGKILL")) await waitForEnd(record.init);
    await cgroups?.remove(id);
    if (record !== undefined) await writeRecord(directory, { ...record, monitor: null, init: null });
  }

  async #living(id: string): Promise<Living | undefined> {
    const record = await readRecord(this.#surroundings.layout.computer(id), ComputerRecord);
    return record !== undefined && hasMonitor(record) && isAlive(record.monitor) ? record : undefined;
  }
}

/** Waits for all, whatever becomes of one: nothing goes on behind an error. */
async function allDone(work: readonly (Promise<unknown> | undefined)[]): Promise<void> {
  for (const end of await Promise.allSettled(work)) if (end.status === "rejected") throw end.reason;
}

function hasMonitor(record: ComputerRecord): record is Living {
  return record.monitor !== null;
}

/** A launch that was cut short has noted its outer process only. */
function initOf({ monitor, init }: Living): ProcessIdentity {
  return init ?? monitor;
}

function patience(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(READY_PATIENCE_MS)]);
}
