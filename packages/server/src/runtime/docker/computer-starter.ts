import { type ComputerSpec, DriverError } from "../driver.ts";
import type { DriverOptions } from "../driver-options.ts";
import type { ArtifactImages } from "./artifact-images.ts";
import type { Computers, InspectedComputer } from "./computers.ts";
import { containerConfig, type HostProgramFlags, limitsConfig } from "./container-config.ts";
import { firstProcess } from "./container-process.ts";
import { Created, type EngineInfo } from "./engine-answers.ts";
import { type EngineClient, isStatus } from "./engine-client.ts";
import type { EngineEvents } from "./engine-events.ts";
import { askHealth, socketAppears } from "./host-ready.ts";
import type { Names } from "./names.ts";
import type { OpenNetwork, OpenWay } from "./open-network.ts";
import { readContainerLog } from "./short-containers.ts";
import type { SocketDirectories } from "./socket-directories.ts";
import type { VolumeRequest, Volumes } from "./volumes.ts";

const READY_TIMEOUT_MS = 60_000;
const LOG_SHOWN = 1000;

export interface ComputerStarterOptions extends Pick<DriverOptions, "egress" | "hostProgram" | "certificates"> {
  readonly client: EngineClient;
  readonly names: Names;
  readonly sockets: SocketDirectories;
  readonly volumes: Volumes;
  readonly computers: Computers;
  readonly events: EngineEvents;
  readonly network: OpenNetwork;
  readonly images: ArtifactImages;
  readonly sessionImage: string;
  readonly builderImage: string;
  readonly flags: HostProgramFlags;
  readonly info: EngineInfo;
}

export interface StartedComputer {
  readonly engineId: string;
  readonly name: string;
}

/** How a computer gets out: by a network, by the control plane's proxy, or not at all. */
type WayOut = OpenWay | "proxy" | "none";

/** One start: what is made from a specification, and what it is made with. */
interface Start {
  readonly spec: ComputerSpec;
  readonly signal: AbortSignal;
  readonly name: string;
  readonly wayOut: WayOut;
  readonly shape: string;
  readonly config: object;
}

/** Brings a computer from whatever state it is in to running and answering. A new one takes two calls of the engine. */
export class ComputerStarter {
  readonly #options: ComputerStarterOptions;

  constructor(options: ComputerStarterOptions) {
    this.#options = options;
  }

  async start(spec: ComputerSpec, signal: AbortSignal): Promise<StartedComputer> {
    signal.throwIfAborted();
    const { events, sockets } = this.#options;
    if (spec.root) await sockets.refuseLinks();
    await Promise.all([events.connected(signal), sockets.make(spec.id)]);
    const start = this.#plan(spec, await this.#wayOut(spec), signal);
    const [engineId, fenced] = await Promise.all([this.#create(start), this.#isStillFenced(start)]);
    if (!fenced) {
      if (engineId !== undefined) await this.#options.computers.removeContainer(engineId);
      return this.start(spec, signal);
    }
    if (engineId !== undefined) return this.#run(start, engineId);
    const found = await this.#options.computers.find(spec.id);
    if (found === undefined) {
      await this.#options.computers.refuseForeign(start.name);
      // It went between the two calls.
      return this.start(spec, signal);
    }
    return this.#takeUp(start, found);
  }

  #plan(spec: ComputerSpec, wayOut: WayOut, signal: AbortSignal): Start {
    const { names, sockets, volumes, sessionImage, builderImage, hostProgram } = this.#options;
    const image = spec.kind === "builder" ? builderImage : (spec.build?.imageTag ?? sessionImage);
    const made = containerConfig({
      spec,
      names,
      image,
      network: wayOut === "network" ? names.network : "none",
      wired: wayOut === "wire",
      socketDirectory: sockets.path(spec.id),
      hostDirectory: hostProgram.directory,
      flags: this.#options.flags,
      certificates: this.#options.certificates,
      volumes: volumes.mounts(toVolume(spec)),
    });
    return { spec, signal, wayOut, name: names.container(spec.kind, spec.id), ...made };
  }

  async #wayOut({ network }: ComputerSpec): Promise<WayOut> {
    if (network.mode === "none") return "none";
    if (network.mode === "allowlist") return "proxy";
    const { network: open } = this.#options;
    return open.way ?? (await open.ready()) ?? "proxy";
  }

  /** Looks again while a container is made: before it starts the answer is known. */
  async #isStillFenced({ wayOut }: Start): Promise<boolean> {
    return !isNetwork(wayOut) || (await this.#options.network.ready()) === wayOut;
  }

  /** The engine's id, or undefined where there is a container already. The files are prepared meanwhile. */
  async #create(start: Start): Promise<string | undefined> {
    const preparing = this.#options.volumes.prepare(toVolume(start.spec));
    if (start.spec.kind === "builder") await preparing;
    const [created, prepared] = await Promise.allSettled([this.#createOrFind(start), preparing]);
    if (created.status === "rejected") throw created.reason;
    if (prepared.status === "rejected") throw prepared.reason;
    return created.value;
  }

  async #createOrFind(start: Start): Promise<string | undefined> {
    const { client } = this.#options;
    const query = { name: start.name };
    const call = {
      method: "POST",
      path: "/containers/create",
      query,
      body: start.config,
      signal: start.signal,
    } as const;
    try {
      return (await client.json(call, Created)).Id;
    } catch (error) {
      if (isStatus(error, 409)) return undefined;
      if (!isStatus(error, 404)) throw error;
      await this.#makeMissingImage(start, error);
      return (await client.json(call, Created)).Id;
    }
  }

  /** A build's image can be made from its artifacts again. */
  async #makeMissingImage({ spec, signal }: Start, error: unknown): Promise<void> {
    if (spec.build === null) {
      const message = "The image of session computers is missing. Run scripts/build.sh.";
      throw new DriverError(message, { cause: error, transient: false });
    }
    const { imageTag, buildId, artifactKeys } = spec.build;
    await this.#options.images.makeBuild(imageTag, { buildId, artifactKeys, spaceId: spec.spaceId }, signal);
  }

  async #takeUp(start: Start, found: InspectedComputer): Promise<StartedComputer> {
    const { client, computers, sockets } = this.#options;
    const { spec, signal } = start;
    const { engineId, name } = found;
    const runs = found.status === "running" || found.status === "frozen";
    const wayOut = wayOutOf(found, spec);
    const taken = { ...start, wayOut };
    // On a network that isn't fenced any more nothing may run, whatever it does there.
    const open = isNetwork(wayOut) && !isNetwork(start.wayOut);
    if (runs && !open && (await this.#isConnected(start, found))) {
      await this.#openWayOut(taken);
      if (found.status === "frozen") {
        await client.run({ method: "POST", path: `/containers/${engineId}/unpause`, signal }, [409]);
      }
      // A host that was started a moment ago may not answer yet, and one that died may have left its socket.
      await this.#ready(taken, engineId, () => Promise.resolve());
      await askHealth(this.#options.sockets.path(spec.id), signal);
      return { engineId, name };
    }
    // Made otherwise than it would be now: by another version, from another image, with other limits. The files are in its
    // volume, but for what a root installed.
    const cut = wayOut === "wire" && start.wayOut !== "wire";
    if (open || cut || (found.shape !== start.shape && !spec.root)) {
      await computers.removeContainer(engineId);
      const again = await this.#create(start);
      if (again === undefined) return this.start(spec, signal);
      return this.#run(start, again);
    }
    if (found.shape !== start.shape) {
      const body = limitsConfig(spec.limits);
      await client.run({ method: "POST", path: `/containers/${engineId}/update`, body, signal });
    }
    await sockets.make(spec.id);
    return this.#run(taken, engineId);
  }

  async #run(start: Start, engineId: string): Promise<StartedComputer> {
    const { client, sockets, volumes } = this.#options;
    await Promise.all([volumes.attach(toVolume(start.spec)), sockets.clear(start.spec.id)]);
    await this.#openWayOut(start);
    await this.#ready(start, engineId, async () => {
      try {
        await client.run({ method: "POST", path: `/containers/${engineId}/start`, signal: start.signal }, [304]);
      } catch (error) {
        throw isStatus(error, 404) ? await this.#lost(start, engineId, error) : error;
      }
      if (start.wayOut === "wire") await this.#plug(start.spec.id, engineId);
    });
    return { engineId, name: start.name };
  }

  /** The network went, or the container itself: the next attempt makes both. */
  async #lost({ spec }: Start, engineId: string, cause: unknown): Promise<DriverError> {
    this.#options.network.doubt();
    if (!spec.root) await this.#options.computers.removeContainer(engineId);
    const message = "The computer's container or network is gone; it is made again.";
    return new DriverError(message, { cause, transient: true });
  }

  /** Sees to it that a computer that runs has its wire, where it is to have one. False where the engine has to connect it. */
  async #isConnected({ wayOut }: Start, { engineId, pid, wired }: InspectedComputer): Promise<boolean> {
    if (!wired) return true;
    try {
      await this.#options.network.plug({ process: pid, proof: engineId, again: true });
      return true;
    } catch (error) {
      if (wayOut === "wire" || !(error instanceof DriverError)) throw error;
      return false;
    }
  }

  /** The engine is asked only where the control groups don't tell. */
  async #plug(id: string, engineId: string): Promise<void> {
    const { computers, network, info } = this.#options;
    const process = (await firstProcess(info, engineId)) ?? (await computers.find(id))?.pid ?? 0;
    await network.plug({ process, proof: engineId, again: false });
  }

  async #openWayOut({ spec, wayOut }: Start): Promise<void> {
    if (wayOut === "proxy") {
      await this.#options.egress.serve(spec.id, this.#options.sockets.egressSocket(spec.id), spec.network);
    }
  }

  /**
   * Resolves when the host's socket is there, which is when it answers; rejects when the computer ends before. The socket is
   * watched while `begin` is under way, and may be there before the engine says that it has begun. A wire is not there before.
   */
  async #ready(start: Start, engineId: string, begin: () => Promise<void>): Promise<void> {
    const { events, sockets } = this.#options;
    const { spec, signal } = start;
    const directory = sockets.path(spec.id);
    const ended = new AbortController();
    const late = AbortSignal.timeout(READY_TIMEOUT_MS);
    let begun = false;
    let doubt = false;
    // Events come late: one of before the start may arrive after it, so what is there decides.
    const look = (): void => {
      doubt = true;
      if (begun) this.#endIfNotRunning(spec.id, ended).catch(() => ended.abort());
    };
    const stop = events.listen({
      onEvent: ({ id, action }) => {
        if (id === spec.id && (action === "die" || action === "destroy")) look();
      },
      onGap: look,
    });
    const watched = AbortSignal.any([signal, ended.signal, late]);
    try {
      const appears = socketAppears(directory, watched);
      appears.catch(() => undefined);
      const beginning = begin().then(() => {
        begun = true;
        if (doubt) look();
      });
      await Promise.race([appears, beginning.then(() => appears)]);
      if (start.wayOut === "wire") await beginning;
    } catch (error) {
      signal.throwIfAborted();
      if (!late.aborted && start.wayOut === "wire") await this.#endIfNotRunning(spec.id, ended);
      if (ended.signal.aborted) throw await this.#endedEarly(spec, engineId);
      if (late.aborted) throw await this.#late(engineId);
      throw error;
    } finally {
      stop();
    }
  }

  async #endIfNotRunning(id: string, ended: AbortController): Promise<void> {
    const found = await this.#options.computers.find(id);
    if (found === undefined || found.status === "stopped") ended.abort();
  }

  async #endedEarly(spec: ComputerSpec, engineId: string): Promise<DriverError> {
    const found = await this.#options.computers.find(spec.id);
    if (found?.outOfMemory === true) {
      const message = `The computer needs more memory than its ${spec.limits.memory_mb} MB. Raise memory_mb.`;
      return new DriverError(message, { transient: false });
    }
    const what = found === undefined ? "was removed" : `ended with exit code ${found.exitCode}`;
    return new DriverError(`The computer ${what} before it was ready. ${await this.#said(engineId)}`, {
      transient: true,
    });
  }

  async #late(engineId: string): Promise<DriverError> {
    const seconds = READY_TIMEOUT_MS / 1000;
    const said = await this.#said(engineId);
    return new DriverError(`The computer was not ready after ${seconds} s. ${said}`, { transient: true });
  }

  async #said(engineId: string): Promise<string> {
    const said = await readContainerLog(this.#options.client, engineId).catch(() => "");
    return said.trim() === "" ? "It said nothing." : `It said: ${said.trim().slice(-LOG_SHOWN)}`;
  }
}

function isNetwork(wayOut: WayOut): boolean {
  return wayOut === "wire" || wayOut === "network";
}

/** Of a container that is there already. */
function wayOutOf({ wired, networked }: InspectedComputer, { network }: ComputerSpec): WayOut {
  if (wired) return "wire";
  if (networked) return "network";
  return network.mode === "none" ? "none" : "proxy";
}

function toVolume({ id, kind, limits }: ComputerSpec): VolumeRequest {
  return { id, kind, diskMb: limits.disk_mb };
}
