import { setTimeout as sleep } from "node:timers/promises";
import type { HostExec, HostExecLine } from "@raworc/contract";
import type { Logger } from "pino";
import type { ComputerSpec, RuntimeDriver } from "../../runtime/driver.ts";
import { HostConnection } from "../../runtime/host-connection.ts";
import type { Leases } from "../leases.ts";
import type { Computer } from "./computer.ts";

export type BuilderSpec = Pick<ComputerSpec, "id" | "spaceId" | "limits" | "mounts">;

export interface BuilderSurroundings {
  readonly driver: RuntimeDriver;
  /** While a builder is there it is its server's: others leave it alone. */
  readonly leases: Pick<Leases, "hold" | "release">;
  readonly log: Logger;
}

const REMOVALS = 3;
const REMOVAL_PAUSE_MS = 500;

/** A throw-away computer for building. Whoever opens one closes it, whatever happened. */
export class Builder implements Computer {
  readonly #surroundings: BuilderSurroundings;
  readonly #id: string;
  readonly #connection: HostConnection;
  #closing: Promise<void> | undefined;

  private constructor(surroundings: BuilderSurroundings, id: string) {
    this.#surroundings = surroundings;
    this.#id = id;
    this.#connection = new HostConnection(surroundings.driver.socketDirectory(id));
  }

  /** Leaves nothing behind when it throws. Throws DriverError, or the signal's reason. */
  static async open(surroundings: BuilderSurroundings, spec: BuilderSpec, signal: AbortSignal): Promise<Builder> {
    await surroundings.leases.hold("builder", spec.id);
    const builder = new Builder(surroundings, spec.id);
    try {
      const plain = { kind: "builder", network: { mode: "open" }, root: false, build: null } as const;
      await surroundings.driver.start({ ...spec, ...plain }, signal);
      await builder.#connection.claim({ session_id: spec.id, space: "build", environment: {}, agents: [] }, signal);
      return builder;
    } catch (error) {
      await builder.close();
      throw error;
    }
  }

  exec(request: HostExec, signal: AbortSignal): AsyncIterable<HostExecLine> {
    return this.#connection.exec(request, signal);
  }

  /** A folder of this builder becomes the artifact of that key. */
  storeArtifact(key: string, path: string, signal: AbortSignal): Promise<void> {
    return this.#surroundings.driver.storeArtifact(key, { computerId: this.#id, path }, signal);
  }

  /** Never throws: what can't be removed now is removed when this server has gone. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { driver, leases, log } = this.#surroundings;
    this.#connection.close();
    for (let attempt = 1; ; attempt += 1) {
      try {
        await driver.remove(this.#id, { volume: true });
        return await leases.release("builder", this.#id);
      } catch (error) {
        log.warn({ err: error, builder: this.#id, attempt }, "a builder could not be removed");
        if (attempt === REMOVALS) return;
        await sleep(REMOVAL_PAUSE_MS * attempt);
      }
    }
  }
}
