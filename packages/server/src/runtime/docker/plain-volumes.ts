import { COMPUTER } from "@raworc/contract";
import { type EngineMount, namedVolume } from "./container-config.ts";
import type { Names } from "./names.ts";
import type { ShortContainers } from "./short-containers.ts";
import type { VolumeRequest, Volumes } from "./volumes.ts";

/** Volumes of the engine as they are. Their size has no limit; the engine fills them from the image when they are new. */
export class PlainVolumes implements Volumes {
  readonly limited = false;
  readonly #names: Names;
  readonly #containers: ShortContainers;

  constructor(names: Names, containers: ShortContainers) {
    this.#names = names;
    this.#containers = containers;
  }

  mounts({ id, kind }: VolumeRequest): readonly EngineMount[] {
    const volume = namedVolume(this.#names, kind, id, false);
    // Without a name, it goes with the container.
    const unnamed: EngineMount = { Type: "volume", Target: COMPUTER.artifacts };
    return kind === "builder" ? [volume, unnamed] : [volume];
  }

  async prepare(): Promise<void> {}

  async attach(): Promise<void> {}

  async release(): Promise<void> {}

  async has(): Promise<boolean> {
    return false;
  }

  async list(): Promise<readonly string[]> {
    return [];
  }

  async copy(from: string, to: string, signal: AbortSignal): Promise<"copy"> {
    const [source, target] = [from, to].map((id) => this.mounts({ id, kind: "session", diskMb: 0 })[0]);
    if (source === undefined || target === undefined) throw new Error("A session without a volume");
    await this.#containers.run(
      {
        words: ["cp", "-a", "/from/.", "/to/"],
        capabilities: ["CHOWN", "DAC_OVERRIDE", "FOWNER"],
        network: "none",
        mounts: [
          { ...source, Target: "/from", ReadOnly: true },
          { ...target, Target: "/to" },
        ],
      },
      signal,
    );
    return "copy";
  }

  async awaken(): Promise<void> {}

  async remove(): Promise<void> {}
}
