import { rm } from "node:fs/promises";
import type { Limits } from "@raworc/contract";
import type {
  ArtifactSource,
  BuildComposition,
  ComputerNotice,
  ComputerSpec,
  ComputerUsage,
  DriverCapabilities,
  DriverCheck,
  ObservedComputer,
  RuntimeDriver,
} from "../driver.ts";
import { MemoryReturn } from "../memory-return.ts";
import { persist } from "../persistence.ts";
import { Artifacts } from "./artifacts.ts";
import { BuildRecords } from "./build-records.ts";
import { capabilitiesOf, checkSandbox } from "./check.ts";
import { ComputerEnds } from "./computer-ends.ts";
import { Computers } from "./computers.ts";
import { Exclusive } from "./exclusive.ts";
import { checkName, namesIn } from "./layout.ts";
import { openSurroundings, type SandboxOptions } from "./open-surroundings.ts";
import type { Surroundings } from "./surroundings.ts";
import { digestToolchains } from "./toolchains.ts";
import { WayOut } from "./way-out.ts";

/**
 * Computers by bubblewrap: no daemon, no image. What runs from an earlier control plane is taken up again.
 * Throws DriverError where this machine lacks something, with what to do.
 */
export async function createSandboxDriver(options: SandboxOptions): Promise<RuntimeDriver> {
  const surroundings = await openSurroundings(options);
  const driver = new SandboxDriver(surroundings);
  await driver.takeUp();
  surroundings.spawner.begin();
  return driver;
}

class SandboxDriver implements RuntimeDriver {
  readonly name = "sandbox";
  readonly capabilities: DriverCapabilities;
  readonly #surroundings: Surroundings;
  readonly #ends = new ComputerEnds();
  readonly #wayOut: WayOut;
  readonly #computers: Computers;
  readonly #artifacts: Artifacts;
  readonly #builds: BuildRecords;
  readonly #memory: MemoryReturn;
  readonly #turns = new Exclusive();
  #toolchain: Promise<string> | undefined;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
    this.capabilities = capabilitiesOf(surroundings);
    this.#wayOut = new WayOut(surroundings.egress, surroundings.layout);
    this.#computers = new Computers(surroundings, this.#ends, this.#wayOut);
    this.#artifacts = new Artifacts(surroundings);
    this.#builds = new BuildRecords(surroundings.layout, this.#artifacts);
    this.#memory = new MemoryReturn({
      groupOf: (id) => this.#computers.frozenMemory(id),
      afterMs: surroundings.returnMemoryAfterMs,
      log: surroundings.log,
    });
  }

  takeUp(): Promise<void> {
    return this.#computers.takeUpAll();
  }

  check(): Promise<DriverCheck> {
    return checkSandbox(this.#surroundings);
  }

  start(spec: ComputerSpec, signal: AbortSignal): Promise<ObservedComputer> {
    this.#memory.cancel(spec.id);
    return this.#turns.run(spec.id, async () => {
      await this.#computers.start(spec, signal);
      return this.#computers.observe(spec.id);
    });
  }

  stop(id: string, graceMs: number): Promise<void> {
    this.#memory.cancel(id);
    return this.#turns.run(id, () => this.#computers.stop(id, graceMs));
  }

  freeze(id: string): Promise<void> {
    return this.#turns.run(id, async () => {
      await this.#computers.freeze(id);
      this.#memory.plan(id);
    });
  }

  thaw(id: string): Promise<void> {
    this.#memory.cancel(id);
    return this.#turns.run(id, () => this.#computers.thaw(id));
  }

  copyVolume(fromId: string, toId: string, signal: AbortSignal): Promise<"reflink" | "copy"> {
    return this.#turns.run(toId, async () => {
      await this.#computers.flush(fromId);
      return this.#surroundings.volumes.copy(fromId, toId, signal);
    });
  }

  changeLimits(id: string, limits: Limits): Promise<void> {
    return this.#turns.run(id, () => this.#computers.changeLimits(id, limits));
  }

  usage(id: string): Promise<ComputerUsage> {
    return this.#computers.usage(id);
  }

  remove(id: string, { volume }: { readonly volume: boolean }): Promise<void> {
    this.#memory.cancel(id);
    return this.#turns.run(id, async () => {
      await this.#computers.remove(id);
      if (volume) await this.#surroundings.volumes.remove(id);
    });
  }

  observe(id: string): Promise<ObservedComputer> {
    return this.#computers.observe(id);
  }

  async list(): Promise<readonly ObservedComputer[]> {
    const { computers, volumes, sockets } = this.#surroundings.layout;
    const names = await Promise.all([computers, volumes, sockets].map(namesIn));
    return Promise.all([...new Set(names.flat())].map((id) => this.observe(id)));
  }

  watch(onNotice: (notice: ComputerNotice) => void, signal: AbortSignal): void {
    this.#ends.listen(onNotice, signal);
  }

  socketDirectory(id: string): string {
    return this.#surroundings.layout.reachSockets(id);
  }

  async hasArtifact(key: string): Promise<boolean> {
    return this.#artifacts.has(key);
  }

  storeArtifact(key: string, source: ArtifactSource, signal: AbortSignal): Promise<void> {
    return this.#turns.run(`artifact ${checkName(key)}`, async () => {
      await this.#computers.flush(source.computerId);
      await this.#artifacts.store(key, source, signal);
    });
  }

  removeArtifact(key: string): Promise<void> {
    return this.#turns.run(`artifact ${checkName(key)}`, () => this.#artifacts.remove(key));
  }

  buildTag(build: Pick<BuildComposition, "spaceName" | "buildId">): string {
    return this.#builds.tag(build);
  }

  async composeBuild(build: BuildComposition, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    return this.#builds.compose(build);
  }

  removeBuild(imageTag: string): Promise<void> {
    return this.#builds.remove(imageTag);
  }

  toolchain(): Promise<string> {
    const { toolchains, rootDirectory } = this.#surroundings;
    this.#toolchain ??= digestToolchains(toolchains, rootDirectory);
    return this.#toolchain;
  }

  reset(): Promise<void> {
    const { artifacts, builds, root } = this.#surroundings.layout;
    return persist(async () => {
      await this.#surroundings.standbys.close();
      for (const { id } of await this.list()) await this.remove(id, { volume: true });
      for (const key of await namesIn(artifacts)) await this.#artifacts.remove(key);
      await rm(builds, { recursive: true, force: true });
      await rm(root, { recursive: true, force: true });
    });
  }

  /** Computers stay as they are. */
  async close(): Promise<void> {
    this.#memory.close();
    this.#ends.close();
    await this.#wayOut.close();
    await this.#surroundings.standbys.close();
    await this.#surroundings.spawner.close();
    await this.#surroundings.cgroups?.close();
    await this.#surroundings.layout.close();
  }
}
