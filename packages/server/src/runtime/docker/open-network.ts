import { readFile } from "node:fs/promises";
import type { Logger } from "pino";
import { DriverError } from "../driver.ts";
import { InspectedNetwork } from "./engine-answers.ts";
import { type EngineClient, isStatus } from "./engine-client.ts";
import type { FenceKeeper } from "./fence.ts";
import { LABEL, type Names } from "./names.ts";

const MTU_DEFAULT = 1500;
/** What could not be done is not tried again at each start. */
const RETRY_MS = 30_000;

export interface OpenNetworkOptions {
  readonly client: EngineClient;
  readonly names: Names;
  readonly fence: FenceKeeper;
  readonly log: Logger;
}

/** The network of `open` computers: a bridge of this installation's own, behind the fence. */
export class OpenNetwork {
  readonly #options: OpenNetworkOptions;
  #made: Promise<void> | undefined;
  #wasReady = false;
  /** When it was last found that it can't be done. */
  #failedAt = 0;

  constructor(options: OpenNetworkOptions) {
    this.#options = options;
  }

  /** What `ready` last said, and nothing has given cause for doubt since. */
  get wasReady(): boolean {
    return this.#wasReady;
  }

  /** Whether `open` computers may use the network now. Where the fence can't be set they may not. */
  async ready(): Promise<boolean> {
    const { fence, log } = this.#options;
    if (Date.now() - this.#failedAt < RETRY_MS) return false;
    try {
      this.#made ??= this.#make();
      await this.#made;
      await fence.ensure();
      this.#wasReady = true;
      return true;
    } catch (error) {
      this.#made = undefined;
      this.#wasReady = false;
      if (!(error instanceof DriverError)) throw error;
      this.#failedAt = Date.now();
      const message = "open sessions get the egress proxy instead of a network: their network can't be made or fenced";
      log.warn({ err: error }, message);
      return false;
    }
  }

  /** Where there is a network already, its fence is set before anything asks for it. */
  async restore(): Promise<void> {
    const { client, names } = this.#options;
    const path = `/networks/${names.network}`;
    if ((await client.find({ method: "GET", path }, InspectedNetwork)) !== undefined) await this.ready();
  }

  /** Network or rules may be gone: looks at the next use. */
  doubt(): void {
    this.#made = undefined;
    this.#wasReady = false;
    this.#failedAt = 0;
    this.#options.fence.doubt();
  }

  async remove(): Promise<void> {
    const { client, names, fence } = this.#options;
    this.#made = undefined;
    this.#wasReady = false;
    const network = await client.find({ method: "GET", path: `/networks/${names.network}` }, InspectedNetwork);
    const ours = network !== undefined && names.owns(network.Labels);
    if (ours) await this.#removeNetwork(network.Id);
    await fence.remove({ thorough: ours });
  }

  async #removeNetwork(id: string): Promise<void> {
    try {
      await this.#options.client.run({ method: "DELETE", path: `/networks/${id}` }, [404]);
    } catch (error) {
      if (!isStatus(error, 403)) throw error;
      const message = "The network of open sessions still has containers; what is being removed will leave it.";
      throw new DriverError(message, { cause: error, transient: true });
    }
  }

  async #make(): Promise<void> {
    const { client, names } = this.#options;
    const path = `/networks/${names.network}`;
    const network = await client.find({ method: "GET", path }, InspectedNetwork);
    if (network !== undefined) {
      if (names.owns(network.Labels)) return;
      const message = `The Docker network ${names.network} is not this installation's. Remove or rename it.`;
      throw new DriverError(message, { transient: false });
    }
    try {
      await client.run({ method: "POST", path: "/networks/create", body: await this.#config() });
    } catch (error) {
      // Another server of this installation was first.
      if (!isStatus(error, 409) || (await client.find({ method: "GET", path }, InspectedNetwork)) === undefined)
        throw error;
    }
  }

  async #config(): Promise<object> {
    const { names } = this.#options;
    return {
      Name: names.network,
      Driver: "bridge",
      CheckDuplicate: true,
      EnableIPv6: false,
      Labels: names.labels({ [LABEL.kind]: "network" }),
      Options: {
        "com.docker.network.bridge.name": names.bridge,
        "com.docker.network.bridge.enable_icc": "false",
        "com.docker.network.driver.mtu": String(await readMtu()),
      },
    };
  }
}

/** What fits through the machine's way out. */
async function readMtu(): Promise<number> {
  const routes = await readFile("/proc/net/route", "utf8").catch(() => "");
  const rows = routes.split("\n").map((line) => line.split("\t"));
  const device = rows.find(([, destination, , , , , , mask]) => destination === "00000000" && mask === "00000000")?.[0];
  const text = device === undefined ? "" : await readFile(`/sys/class/net/${device}/mtu`, "utf8").catch(() => "");
  return Number(text) || MTU_DEFAULT;
}
