import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import type { Limits } from "@raworc/contract";
import {
  type ArtifactSource,
  type BuildComposition,
  type ComputerKind,
  type ComputerNotice,
  type ComputerSpec,
  type ComputerUsage,
  type DriverCapabilities,
  type DriverCheck,
  DriverError,
  type ObservedComputer,
  type RuntimeDriver,
} from "../driver.ts";
import type { DriverOptions } from "../driver-options.ts";
import { memoryGroupOf } from "../memory-group.ts";
import { MemoryReturn } from "../memory-return.ts";
import { persist } from "../persistence.ts";
import { ArtifactImages } from "./artifact-images.ts";
import { ComputerStarter } from "./computer-starter.ts";
import { Computers } from "./computers.ts";
import { type HostProgramFlags, limitsConfig } from "./container-config.ts";
import { ContainerStats, type EngineInfo, InspectedImage, ListedImages } from "./engine-answers.ts";
import { type EngineClient, isStatus } from "./engine-client.ts";
import { EngineEvents } from "./engine-events.ts";
import { FenceKeeper } from "./fence.ts";
import { LABEL, type Names } from "./names.ts";
import { OpenNetwork } from "./open-network.ts";
import type { OwnChange } from "./own-changes.ts";
import type { Shells } from "./shells.ts";
import type { ShortContainers } from "./short-containers.ts";
import type { SocketDirectories } from "./socket-directories.ts";
import type { Volumes } from "./volumes.ts";

const MILLISECONDS = 1000;
/** How the engine lists an image that has no name. */
const NO_TAG = "<none>:<none>";

export interface DockerDriverParts extends DriverOptions {
  /** What is kept beside the engine. */
  readonly directory: string;
  readonly client: EngineClient;
  readonly names: Names;
  readonly sockets: SocketDirectories;
  readonly volumes: Volumes;
  readonly shortContainers: ShortContainers;
  readonly shells: Shells;
  readonly sessionImage: string;
  readonly builderImage: string;
  readonly flags: HostProgramFlags;
  readonly info: EngineInfo;
}

/** Computers as containers of a Docker engine on this machine. */
export class DockerDriver implements RuntimeDriver {
  readonly name = "docker";
  readonly capabilities: DriverCapabilities;
  readonly #parts: DockerDriverParts;
  readonly #computers: Computers;
  readonly #events: EngineEvents;
  readonly #network: OpenNetwork;
  readonly #images: ArtifactImages;
  readonly #starter: ComputerStarter;
  readonly #memory: MemoryReturn;
  /** Kinds and engine's ids of containers that were seen, and are this installation's. */
  readonly #seen = new Map<string, { readonly kind: ComputerKind; readonly engineId: string }>();

  constructor(parts: DockerDriverParts) {
    const { client, names, log, info, volumes, shells, shortContainers } = parts;
    this.#parts = parts;
    this.#computers = new Computers(client, names, LABEL.shape);
    this.#events = new EngineEvents(client, names, log);
    const fence = new FenceKeeper({ names, mirrorHosts: parts.mirrorHosts, containers: shortContainers, log });
    this.#network = new OpenNetwork({
      ...{ client, names, fence, shells, log },
      computers: this.#computers,
      runtime: info.DefaultRuntime,
    });
    this.#images = new ArtifactImages({ client, names, sessionImage: parts.sessionImage });
    this.#starter = new ComputerStarter({
      ...parts,
      computers: this.#computers,
      events: this.#events,
      network: this.#network,
      images: this.#images,
    });
    const afterMs = parts.returnMemoryAfterMs;
    this.#memory = new MemoryReturn({ groupOf: (id) => this.#frozenMemory(id), afterMs, log });
    this.#events.listen({
      onEvent: ({ id, action }) => {
        if (action === "destroy") this.#seen.delete(id);
      },
      onNetworkGone: () => this.#network.doubt(),
      onGap: () => this.#network.doubt(),
    });
    this.capabilities = toCapabilities(info, volumes.limited);
  }

  /** How many calls the engine got from this driver. */
  get engineCalls(): number {
    return this.#parts.client.calls;
  }

  async check(): Promise<DriverCheck> {
    const { client, sessionImage, builderImage } = this.#parts;
    try {
      const { Version } = await client.version();
      for (const image of [sessionImage, builderImage]) {
        const found = await client.find({ method: "GET", path: `/images/${image}/json` }, InspectedImage);
        if (found === undefined) return { ok: false, detail: `The image ${image} is missing. Run scripts/build.sh.` };
      }
      return { ok: true, detail: `Docker ${Version}, limits by ${this.capabilities.limitsBy}` };
    } catch (error) {
      if (error instanceof DriverError) return { ok: false, detail: error.message };
      return { ok: false, detail: "The Docker engine gave an answer that is not understood." };
    }
  }

  async start(spec: ComputerSpec, signal: AbortSignal): Promise<ObservedComputer> {
    this.#memory.cancel(spec.id);
    const { engineId, name } = await this.#starter.start(spec, signal);
    this.#seen.set(spec.id, { kind: spec.kind, engineId });
    return {
      id: spec.id,
      kind: spec.kind,
      status: "running",
      containerId: name,
      volumeId: this.#parts.names.volume(spec.kind, spec.id),
      outOfMemory: false,
    };
  }

  async stop(id: string, graceMs: number): Promise<void> {
    this.#memory.cancel(id);
    const computer = await this.#computers.find(id);
    if (computer === undefined) return;
    const { client, egress, volumes } = this.#parts;
    await volumes.awaken(id);
    const path = `/containers/${computer.engineId}`;
    if (computer.status === "frozen") await client.run({ method: "POST", path: `${path}/unpause` }, [404, 409]);
    if (computer.status === "frozen" || computer.status === "running") {
      // The engine asks process 1 by SIGTERM, which the host takes like a call for shutdown.
      const query = { t: String(Math.ceil(graceMs / MILLISECONDS)) };
      await client.run({ method: "POST", path: `${path}/stop`, query, long: true }, [304, 404]);
    }
    await egress.end(id);
    await volumes.release(id);
  }

  async freeze(id: string): Promise<void> {
    await this.#change(id, "pause", "frozen");
    this.#memory.plan(id);
  }

  async thaw(id: string): Promise<void> {
    this.#memory.cancel(id);
    await this.#change(id, "unpause", "running");
  }

  async copyVolume(fromId: string, toId: string, signal: AbortSignal): Promise<"reflink" | "copy"> {
    try {
      return await this.#parts.volumes.copy(fromId, toId, signal);
    } catch (error) {
      await this.remove(toId, { volume: true });
      throw error;
    }
  }

  async changeLimits(id: string, limits: Limits): Promise<void> {
    const engineId = await this.#engineId(id);
    const body = limitsConfig(limits);
    await this.#parts.client.run({ method: "POST", path: `/containers/${engineId}/update`, body });
  }

  async usage(id: string): Promise<ComputerUsage> {
    const none = { cpuSeconds: 0, memoryBytes: 0 };
    const computer = await this.#computers.find(id);
    if (computer?.status !== "running" && computer?.status !== "frozen") return none;
    const path = `/containers/${computer.engineId}/stats`;
    const query = { stream: "false", "one-shot": "true" };
    const stats = await this.#parts.client.find({ method: "GET", path, query }, ContainerStats);
    if (stats === undefined) return none;
    const { usage = 0, stats: details } = stats.memory_stats;
    const files = details?.total_inactive_file ?? details?.inactive_file ?? 0;
    return { cpuSeconds: stats.cpu_stats.cpu_usage.total_usage / 1e9, memoryBytes: Math.max(0, usage - files) };
  }

  async remove(id: string, options: { readonly volume: boolean }): Promise<void> {
    const { egress, sockets, volumes } = this.#parts;
    this.#memory.cancel(id);
    await volumes.awaken(id);
    const computer = await this.#computers.find(id);
    if (computer !== undefined) await this.#computers.removeContainer(computer.engineId);
    this.#seen.delete(id);
    await egress.end(id);
    await sockets.remove(id);
    if (!options.volume) return volumes.release(id);
    const volume = await this.#computers.findVolume(id);
    await volumes.remove(id);
    if (volume !== undefined) await this.#computers.removeVolume(volume.name);
  }

  async observe(id: string): Promise<ObservedComputer> {
    const computer = await this.#computers.find(id);
    if (computer !== undefined) {
      this.#seen.set(id, computer);
      const volumeId = this.#parts.names.volume(computer.kind, id);
      const { kind, status, name, outOfMemory } = computer;
      return { id, kind, status, containerId: name, volumeId, outOfMemory: status === "stopped" && outOfMemory };
    }
    const volume = await this.#computers.findVolume(id);
    const { names, volumes } = this.#parts;
    const volumeId = volume?.name ?? ((await volumes.has(id)) ? names.volume("session", id) : null);
    return absent(id, volume?.kind ?? "session", volumeId);
  }

  async list(): Promise<readonly ObservedComputer[]> {
    const { names, sockets, volumes } = this.#parts;
    const [containers, engineVolumes, socketIds, volumeIds] = await Promise.all([
      this.#computers.list(),
      this.#computers.listVolumes(),
      sockets.list(),
      volumes.list(),
    ]);
    const found = new Map<string, ObservedComputer>();
    for (const id of socketIds) found.set(id, absent(id, "session", null));
    for (const id of volumeIds) found.set(id, absent(id, "session", names.volume("session", id)));
    for (const { id, kind, name } of engineVolumes) found.set(id, absent(id, kind, name));
    for (const { id, kind, status, name, engineId } of containers) {
      this.#seen.set(id, { kind, engineId });
      found.set(id, { ...absent(id, kind, names.volume(kind, id)), status, containerId: name });
    }
    return [...found.values()];
  }

  watch(onNotice: (notice: ComputerNotice) => void, signal: AbortSignal): void {
    const lookAtAll = async (): Promise<void> => {
      const ids = new Set([...this.#seen.keys(), ...(await this.#computers.list()).map(({ id }) => id)]);
      for (const id of ids) onNotice({ id });
    };
    const stop = this.#events.listen({
      onEvent: ({ id }) => onNotice({ id }),
      onGap: () => {
        lookAtAll().catch((error: unknown) => {
          this.#parts.log.warn({ err: error }, "computers could not be listed; the next event tells");
        });
        this.#restoreNetwork();
      },
      onNetworkGone: () => this.#restoreNetwork(),
    });
    signal.addEventListener("abort", stop);
    this.#events.connected(signal).catch(() => undefined);
    // Sessions that run on the network have been waiting for this server: their fence is looked at now.
    this.#restoreNetwork();
  }

  socketDirectory(id: string): string {
    return this.#parts.sockets.path(id);
  }

  hasArtifact(key: string): Promise<boolean> {
    return this.#images.has(key);
  }

  async storeArtifact(key: string, source: ArtifactSource, signal: AbortSignal): Promise<void> {
    const container = await this.#engineId(source.computerId);
    await this.#images.store(key, { container, path: source.path }, signal);
  }

  removeArtifact(key: string): Promise<void> {
    return this.#images.removeArtifact(key);
  }

  buildTag({ buildId, spaceName }: Pick<BuildComposition, "spaceName" | "buildId">): string {
    return this.#parts.names.build(spaceName, buildId);
  }

  composeBuild(build: BuildComposition, signal: AbortSignal): Promise<string> {
    return this.#images.compose(build, signal);
  }

  removeBuild(imageTag: string): Promise<void> {
    return this.#images.removeImage(imageTag);
  }

  /** The same recipes of images make the same artifacts; other images are told apart by their content. */
  async toolchain(): Promise<string> {
    const { client, sessionImage, builderImage } = this.#parts;
    const digests = [sessionImage, builderImage].map(async (image) => {
      const found = await client.json({ method: "GET", path: `/images/${image}/json` }, InspectedImage);
      return found.Config?.Labels?.[LABEL.recipe] ?? found.Id;
    });
    return createHash("sha256")
      .update(JSON.stringify(await Promise.all(digests)))
      .digest("hex");
  }

  reset(): Promise<void> {
    return persist(() => this.#reset());
  }

  async #reset(): Promise<void> {
    const { client, names, sockets, directory } = this.#parts;
    for (const { id } of await this.list()) await this.remove(id, { volume: true });
    await this.#computers.removeWork();
    const query = { filters: names.filter() };
    for (const { Id, RepoTags } of await client.json({ method: "GET", path: "/images/json", query }, ListedImages)) {
      for (const tag of RepoTags ?? []) if (tag !== NO_TAG) await this.#images.removeImage(tag);
      await this.#images.removeImage(Id);
    }
    await this.#network.remove();
    await sockets.release();
    await rm(directory, { recursive: true, force: true });
  }

  async close(): Promise<void> {
    this.#memory.close();
    await this.#events.close();
    this.#parts.client.close();
    this.#parts.shells.close();
  }

  #restoreNetwork(): void {
    this.#network.restore().catch((error: unknown) => {
      this.#parts.log.warn({ err: error }, "the open network could not be looked at; the next open session does");
    });
  }

  async #change(id: string, action: OwnChange, wanted: "frozen" | "running"): Promise<void> {
    const engineId = await this.#engineId(id);
    const call = { method: "POST", path: `/containers/${engineId}/${action}` } as const;
    try {
      await this.#events.causing(id, action, () => this.#parts.client.run(call));
    } catch (error) {
      // Paused already, or not.
      if (isStatus(error, 404)) this.#seen.delete(id);
      if ((await this.#computers.find(id))?.status !== wanted) throw error;
    }
  }

  /** Folder of the control group for memory of a container that stands still, where this process sees the engine's. */
  async #frozenMemory(id: string): Promise<string | undefined> {
    const computer = await this.#computers.find(id);
    return computer?.status === "frozen" ? memoryGroupOf(computer.pid, computer.engineId) : undefined;
  }

  async #engineId(id: string): Promise<string> {
    const seen = this.#seen.get(id) ?? (await this.#computers.find(id));
    if (seen !== undefined) return seen.engineId;
    throw new DriverError(`There is no container of ${id}.`, { transient: false });
  }
}

function absent(id: string, kind: ComputerKind, volumeId: string | null): ObservedComputer {
  return { id, kind, status: "absent", containerId: null, volumeId, outOfMemory: false };
}

function toCapabilities(info: EngineInfo, diskLimited: boolean): DriverCapabilities {
  const disk = diskLimited ? "a file system of its own size for each session" : "the disk has no limit";
  return {
    limits: {
      cpus: info.CpuCfsQuota !== false,
      memory_mb: info.MemoryLimit !== false,
      pids: info.PidsLimit !== false,
      disk_mb: diskLimited,
    },
    limitsBy: `cgroup v${info.CgroupVersion ?? "1"}, ${disk}`,
    separateUids: true,
  };
}
