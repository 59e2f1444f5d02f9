import { createHash } from "node:crypto";
import type { ComputerKind } from "../driver.ts";

/** Labels of everything that the driver makes. */
export const LABEL = {
  managed: "raworc.managed",
  instance: "raworc.instance",
  kind: "raworc.kind",
  /** Id of the session, or of the builder. */
  session: "raworc.session",
  builder: "raworc.builder",
  space: "raworc.space",
  build: "raworc.build",
  /** Hash over how a container was made. */
  shape: "raworc.shape",
  /** On containers that this driver connects to the network itself. */
  network: "raworc.network",
  /** Of the images that scripts/build.sh makes: what they are made of. */
  recipe: "raworc.recipe",
} as const;

/** Value of the label of networks. */
export const WIRE = "wire";

export type Labels = Readonly<Record<string, string>>;

export const COMPUTER_KINDS: readonly ComputerKind[] = ["session", "builder"];

const SEPARATORS = /[_-]{2,}/g;
const PLAIN_SEPARATORS = /^(__|-+)$/;

/** Names of one installation's things on an engine that others may use too. */
export class Names {
  readonly #instanceId: string;
  /** Short enough for a network device. */
  readonly #short: string;

  constructor(instanceId: string) {
    this.#instanceId = instanceId;
    this.#short = createHash("sha256").update(instanceId).digest("hex").slice(0, 10);
  }

  container(kind: ComputerKind, id: string): string {
    return `raworc_${kind}_${id}`;
  }

  volume(kind: ComputerKind, id: string): string {
    return `raworc_${kind}_data_${id}`;
  }

  /** Folder below the data directory for what drivers keep beside the engine. */
  get folder(): string {
    return this.#short;
  }

  get network(): string {
    return `raworc_${this.#short}`;
  }

  /** The network's device on the engine's machine; 15 characters at most. */
  get bridge(): string {
    return `rw-${this.#short}`;
  }

  /** A device that leads from the bridge into a computer; 15 characters. */
  wire(number: number): string {
    return `${this.#wires}${number.toString(16).padStart(4, "0")}`;
  }

  isWire(device: string): boolean {
    return device.startsWith(this.#wires);
  }

  get #wires(): string {
    return `rw${this.#short.slice(0, 8)}-`;
  }

  artifact(key: string): string {
    return `raworc_artifact_${this.#short}:${key}`;
  }

  /** Names of spaces allow runs of separators that names of images don't; the tag alone tells builds apart. */
  build(spaceName: string, buildId: string): string {
    const space = spaceName.replace(SEPARATORS, (run) => (PLAIN_SEPARATORS.test(run) ? run : "-"));
    return `raworc_space_${space}:${buildId}`;
  }

  labels(more: Labels): Labels {
    return { [LABEL.managed]: "true", [LABEL.instance]: this.#instanceId, ...more };
  }

  /** Whether a thing on the engine is this installation's. */
  owns(labels: Labels | null | undefined): boolean {
    return labels?.[LABEL.managed] === "true" && labels[LABEL.instance] === this.#instanceId;
  }

  /** For the engine's lists and events: what is this installation's. */
  filter(more: Readonly<Record<string, readonly string[]>> = {}): string {
    return JSON.stringify({ label: [`${LABEL.managed}=true`, `${LABEL.instance}=${this.#instanceId}`], ...more });
  }

  computerOf(labels: Labels | null | undefined): { readonly id: string; readonly kind: ComputerKind } | undefined {
    if (!this.owns(labels)) return undefined;
    const session = labels?.[LABEL.session];
    if (session !== undefined) return { id: session, kind: "session" };
    const builder = labels?.[LABEL.builder];
    return builder === undefined ? undefined : { id: builder, kind: "builder" };
  }
}
