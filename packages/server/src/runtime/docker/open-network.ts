import { readFile } from "node:fs/promises";
import type { Logger } from "pino";
import { DriverError } from "../driver.ts";
import type { Computers } from "./computers.ts";
import { InspectedNetwork } from "./engine-answers.ts";
import { type EngineClient, isStatus } from "./engine-client.ts";
import type { FenceKeeper } from "./fence.ts";
import { LABEL, type Names } from "./names.ts";
import type { Shells } from "./shells.ts";
import { type BridgeAddresses, bridgeAddresses } from "./wire-addresses.ts";
import { type PluggedComputer, Wires } from "./wires.ts";

const MTU_DEFAULT = 1500;
/** What could not be done is not tried again at each start. */
const RETRY_MS = 30_000;

export interface OpenNetworkOptions {
  readonly client: EngineClient;
  readonly names: Names;
  readonly computers: Computers;
  readonly fence: FenceKeeper;
  readonly shells: Shells;
  /** By which the engine runs containers. */
  readonly runtime: string | undefined;
  readonly log: Logger;
}

/** How a computer comes onto the network: connected by this driver while it starts, or by the engine before. */
export type OpenWay = "wire" | "network";

/** The network of `open` computers: a bridge of this installation's own, behind the fence. */
export class OpenNetwork {
  readonly #options: OpenNetworkOptions;
  /** Without wires the engine connects computers. */
  #made: Promise<Wires | undefined> | undefined;
  #making: Promise<unknown> = Promise.resolve();
  #way: OpenWay | undefined;
  /** When it was last found that it can't be done. */
  #failedAt = 0;
  /** When a computer could last not be connected. */
  #unpluggedAt = 0;

  constructor(options: OpenNetworkOptions) {
    this.#options = options;
  }

  /** What `ready` last gave, and nothing has given cause for doubt since. */
  get way(): OpenWay | undefined {
    return this.#way;
  }

  /** How `open` computers may use the network now. Where the fence can't be set they may not. */
  async ready(): Promise<OpenWay | undefined> {
    const { fence, log } = this.#options;
    if (Date.now() - this.#failedAt < RETRY_MS) return undefined;
    try {
      const wires = await this.#current();
      await fence.ensure();
      const failed = Date.now() - this.#unpluggedAt < RETRY_MS;
      this.#way = wires === undefined || failed ? "network" : "wire";
      return this.#way;
    } catch (error) {
      this.#forget();
      if (!(error instanceof DriverError)) throw error;
      this.#failedAt = Date.now();
      const message = "open sessions get the egress proxy instead of a network: their network can't be made or fenced";
      log.warn({ err: error }, message);
      return undefined;
    }
  }

  /** Connects a computer whose way is a wire. May be repeated. Throws a transient DriverError. */
  async plug(computer: PluggedComputer): Promise<void> {
    const wires = await this.#current();
    if (wires === undefined) {
      throw new DriverError("The server can't connect computers to their network any more.", { transient: true });
    }
    try {
      await wires.plug(computer);
    } catch (error) {
      // Maybe it can't be done any more: for a while, new ones are the engine's.
      this.#forget();
      this.#unpluggedAt = Date.now();
      throw error;
    }
  }

  /** Where computers use the network already, it is there and fenced before anything asks for it. */
  async restore(): Promise<void> {
    const { client, names, computers } = this.#options;
    const path = `/networks/${names.network}`;
    const found = await client.find({ method: "GET", path }, InspectedNetwork);
    if (found !== undefined || (await computers.list()).some(({ wired }) => wired)) await this.ready();
  }

  /** Network or rules may be gone: looks at the next use. */
  doubt(): void {
    this.#forget();
    this.#failedAt = 0;
    this.#options.fence.doubt();
  }

  async remove(): Promise<void> {
    const { client, names, fence } = this.#options;
    this.#forget();
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

  #forget(): void {
    this.#made = undefined;
    this.#way = undefined;
  }

  async #current(): Promise<Wires | undefined> {
    this.#made ??= this.#makeNext();
    const made = this.#made;
    const wires = await made;
    if (wires === undefined || (await wires.hasBridge())) return wires;
    // Somebody removed the network: the engine lets it go, since it knows of no wires.
    if (this.#made === made) this.#made = this.#makeNext();
    return this.#made;
  }

  /** One after the other: the second finds what the first has made. */
  #makeNext(): Promise<Wires | undefined> {
    const made = this.#making.then(() => this.#make());
    this.#making = made.catch(() => undefined);
    return made;
  }

  async #make(): Promise<Wires | undefined> {
    const { log } = this.#options;
    const network = await this.#findOrCreate();
    const { wires, problem } = await this.#openWires(network);
    if (wires === undefined)
      log.info({ reason: problem }, "open sessions are connected by the engine, which takes longer");
    await wires?.replug();
    return wires;
  }

  async #openWires(network: InspectedNetwork): Promise<{ readonly wires?: Wires; readonly problem: string }> {
    const { names, log, runtime, shells } = this.#options;
    const { Subnet = "", Gateway = "" } = network.IPAM.Config?.[0] ?? {};
    const addresses = bridgeAddresses(Subnet, Gateway);
    if (addresses === undefined) return { problem: `computers can't be given addresses of ${Subnet}` };
    return Wires.open({ names, addresses, mtu: await readMtu(), shells, log, runtime });
  }

  async #findOrCreate(): Promise<InspectedNetwork> {
    const { client, names } = this.#options;
    const call = { method: "GET", path: `/networks/${names.network}` } as const;
    const network = await client.find(call, InspectedNetwork);
    if (network !== undefined) {
      if (names.owns(network.Labels)) return network;
      const message = `The Docker network ${names.network} is not this installation's. Remove or rename it.`;
      throw new DriverError(message, { transient: false });
    }
    await this.#create();
    return client.json(call, InspectedNetwork);
  }

  async #create(): Promise<void> {
    const { client, names } = this.#options;
    const mtu = await readMtu();
    const create = async (addresses?: BridgeAddresses): Promise<void> => {
      const body = networkConfig(names, mtu, addresses);
      // Another server of this installation may be first.
      await client.run({ method: "POST", path: "/networks/create", body }, [409]);
    };
    const addresses = await Wires.addressesInUse(names);
    if (addresses === undefined) return create();
    // Computers whose network was removed have addresses of it.
    await create(addresses).catch((error: unknown) => {
      if (!isStatus(error, 403, 500)) throw error;
      this.#options.log.warn(
        { err: error },
        "the addresses of open sessions are in use: they are cut off until they are resumed",
      );
      return create();
    });
  }
}

function networkConfig(names: Names, mtu: number, addresses: BridgeAddresses | undefined): object {
  const config = addresses === undefined ? undefined : { Subnet: addresses.subnet, Gateway: addresses.gateway };
  return {
    Name: names.network,
    Driver: "bridge",
    CheckDuplicate: true,
    EnableIPv6: false,
    Labels: names.labels({ [LABEL.kind]: "network" }),
    ...(config === undefined ? {} : { IPAM: { Driver: "default", Config: [config] } }),
    Options: {
      "com.docker.network.bridge.name": names.bridge,
      "com.docker.network.bridge.enable_icc": "false",
      "com.docker.network.driver.mtu": String(mtu),
    },
  };
}

/** What fits through the machine's way out. */
async function readMtu(): Promise<number> {
  const routes = await readFile("/proc/net/route", "utf8").catch(() => "");
  const rows = routes.split("\n").map((line) => line.split("\t"));
  const device = rows.find(([, destination, , , , , , mask]) => destination === "00000000" && mask === "00000000")?.[0];
  const text = device === undefined ? "" : await readFile(`/sys/class/net/${device}/mtu`, "utf8").catch(() => "");
  return Number(text) || MTU_DEFAULT;
}
