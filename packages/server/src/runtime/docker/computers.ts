import { type ComputerKind, type ComputerStatus, DriverError } from "../driver.ts";
import { InspectedContainer, InspectedVolume, ListedContainers, ListedVolumes } from "./engine-answers.ts";
import type { EngineClient } from "./engine-client.ts";
import { COMPUTER_KINDS, LABEL, type Labels, type Names, WIRE } from "./names.ts";

export interface FoundContainer {
  readonly id: string;
  readonly kind: ComputerKind;
  /** The engine's own id. */
  readonly engineId: string;
  readonly name: string;
  readonly status: ComputerStatus;
  /** Whether this driver connects it to a network. */
  readonly wired: boolean;
}

export interface InspectedComputer extends FoundContainer {
  readonly shape: string | undefined;
  /** Whether it has a network of the engine's. */
  readonly networked: boolean;
  readonly outOfMemory: boolean;
  readonly exitCode: number;
  /** Of process 1, where the engine is; 0 while none runs. */
  readonly pid: number;
  /** Why the engine could not start it. */
  readonly problem: string;
}

/** This installation's containers and volumes as they are on the engine. What lacks its labels is not there. */
export class Computers {
  readonly #client: EngineClient;
  readonly #names: Names;
  readonly #shapeLabel: string;

  constructor(client: EngineClient, names: Names, shapeLabel: string) {
    this.#client = client;
    this.#names = names;
    this.#shapeLabel = shapeLabel;
  }

  async find(id: string): Promise<InspectedComputer | undefined> {
    for (const kind of COMPUTER_KINDS) {
      const name = this.#names.container(kind, id);
      const found = await this.#client.find({ method: "GET", path: `/containers/${name}/json` }, InspectedContainer);
      if (found === undefined) continue;
      if (!this.#names.owns(found.Config.Labels)) continue;
      return {
        id,
        kind,
        engineId: found.Id,
        name,
        status: toStatus(found.State.Status),
        shape: found.Config.Labels?.[this.#shapeLabel],
        wired: isWired(found.Config.Labels),
        networked: found.HostConfig.NetworkMode !== "none",
        outOfMemory: found.State.OOMKilled === true,
        exitCode: found.State.ExitCode ?? 0,
        pid: found.State.Pid ?? 0,
        problem: found.State.Error ?? "",
      };
    }
    return undefined;
  }

  /** Throws DriverError where a container has a name of ours that this installation did not make. */
  async refuseForeign(name: string): Promise<void> {
    const found = await this.#client.find({ method: "GET", path: `/containers/${name}/json` }, InspectedContainer);
    if (found === undefined || this.#names.owns(found.Config.Labels)) return;
    const message = `There is a container ${name} that this installation did not make. Remove or rename it.`;
    throw new DriverError(message, { transient: false });
  }

  async list(): Promise<readonly FoundContainer[]> {
    const query = { all: "1", filters: this.#names.filter() };
    const listed = await this.#client.json({ method: "GET", path: "/containers/json", query }, ListedContainers);
    return listed.flatMap(({ Id, Names: [name = ""], State, Labels }) => {
      const computer = this.#names.computerOf(Labels);
      if (computer === undefined) return [];
      const status = toStatus(State);
      return [{ ...computer, engineId: Id, name: name.replace(/^\//, ""), status, wired: isWired(Labels) }];
    });
  }

  /** Removes containers of the control plane's own work, which end with the server that made them. */
  async removeWork(): Promise<void> {
    const query = { all: "1", filters: this.#names.filter() };
    const listed = await this.#client.json({ method: "GET", path: "/containers/json", query }, ListedContainers);
    for (const { Id, Labels } of listed) if (Labels?.[LABEL.kind] === "work") await this.removeContainer(Id);
  }

  /** Name of the volume of an id, where there is one. */
  async findVolume(id: string): Promise<{ readonly name: string; readonly kind: ComputerKind } | undefined> {
    for (const kind of COMPUTER_KINDS) {
      const name = this.#names.volume(kind, id);
      const found = await this.#client.find({ method: "GET", path: `/volumes/${name}` }, InspectedVolume);
      if (found === undefined) continue;
      if (this.#names.owns(found.Labels)) return { name, kind };
    }
    return undefined;
  }

  async listVolumes(): Promise<readonly { readonly id: string; readonly kind: ComputerKind; readonly name: string }[]> {
    const query = { filters: this.#names.filter() };
    const { Volumes } = await this.#client.json({ method: "GET", path: "/volumes", query }, ListedVolumes);
    return (Volumes ?? []).flatMap(({ Name, Labels }) => {
      const computer = this.#names.computerOf(Labels);
      return computer === undefined || Name !== this.#names.volume(computer.kind, computer.id)
        ? []
        : [{ ...computer, name: Name }];
    });
  }

  /** Removes a container with what has no name of its own, and waits where another does so. */
  async removeContainer(engineId: string): Promise<void> {
    const path = `/containers/${engineId}`;
    const status = await this.#client.run({ method: "DELETE", path, query: { force: "1", v: "1" } }, [404, 409]);
    if (status !== 409) return;
    await this.#client.run({ method: "POST", path: `${path}/wait`, query: { condition: "removed" } }, [404]);
  }

  async removeVolume(name: string): Promise<void> {
    await this.#client.run({ method: "DELETE", path: `/volumes/${name}` }, [404]);
  }
}

function isWired(labels: Labels | null | undefined): boolean {
  return labels?.[LABEL.network] === WIRE;
}

function toStatus(state: string): ComputerStatus {
  switch (state) {
    case "created":
      return "created";
    case "running":
    case "restarting":
      return "running";
    case "paused":
      return "frozen";
    default:
      return "stopped";
  }
}
