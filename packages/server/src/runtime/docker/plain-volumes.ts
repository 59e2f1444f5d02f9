import { COMPUTER } from "@raworc/contract";
import type { EngineMount } from "./container-config.ts";
import { LABEL, type Names } from "./names.ts";
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
    const labels = this.#names.labels({
      [LABEL.kind]: kind,
      [kind === "session" ? LABEL.session : LABEL.builder]: id,
    });
    const volume = { Type: "volume", VolumeOptions: { Labels: labels } } as const;
    return [
      { ...volume, Source: this.#names.volume(kind, id), Target: COMPUTER.session },
      // Without a name, it goes with the container.
      ...(kind === "builder" ? [{ ...volume, Target: COMPUTER.artifacts }] : []),
    ];
  }

  async prepare(): Promise<void> {}

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

  async remove(): Promise<void> {}
}
