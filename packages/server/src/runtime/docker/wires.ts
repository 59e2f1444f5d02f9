import { access, readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { DriverError } from "../driver.ts";
import type { Names } from "./names.ts";
import { ProgramError, runProgram } from "./program.ts";
import { readResolvers } from "./resolvers.ts";
import type { Shells } from "./shells.ts";
import { type BridgeAddresses, bridgeAddresses, subnetOf, wireAddress, wireCount } from "./wire-addresses.ts";

const DEVICES = "/sys/class/net";
/** Of the machine, in every kernel: process numbers of another can't be told apart from the engine's. */
const MACHINE_PROCESSES = "pid:[4026531836]";
/** Runtimes whose containers have a network of the kernel's, which takes devices while they run. */
const PLAIN_RUNTIMES = ["runc", "crun", "io.containerd.runc.v2"];
/** Addresses may be taken by others between the look and the use. */
const ATTEMPTS = 5;
const LOOKS = 1000;

/**
 * Its words: a process, what its control groups name, the bridge, the wire's name, its address, MAC, gateway, MTU, and whether a
 * wire may be there. The namespace is held before the process is known to be the right one: numbers of processes are given out again.
 * Ports of a bridge that are isolated reach the bridge alone, not each other. The way out comes last: where there is one, all is done.
 */
const PLUG = `set -e; process=$1 proof=$2 bridge=$3 name=$4 address=$5 mac=$6 gateway=$7 mtu=$8 again=$9
exec 3<"/proc/$process/ns/net"
right=; while read -r group; do case $group in *"$proof"*) right=yes ;; esac; done <"/proc/$process/cgroup"
[ "$right" ] || { echo "the process $process is another's" >&2; exit 1; }
inside() { nsenter --net=/proc/self/fd/3 ip "$@"; }
if [ "$again" ]; then
  [ -z "$(inside -4 route show default)" ] || exit 0
  inside link delete dev eth0 2>/dev/null || true
fi
ip -batch - <<DEVICES
link add name $name mtu $mtu type veth peer name eth0 address $mac mtu $mtu netns /proc/self/fd/3
link set dev $name alias $address,$gateway addrgenmode none master $bridge
link set dev $name type bridge_slave isolated on
link set dev $name up
DEVICES
inside -batch - <<ADDRESS
address add $address dev eth0
link set dev eth0 addrgenmode none up
route add default via $gateway dev eth0
ADDRESS
`;

/** Connects a network that nobody uses, and goes with it. Its words: the script above, and all of its words but the process. */
const TRIAL = `exec 4</proc/self/ns/net
exec unshare --net sh -c 'plug=$1; shift; nsenter --net=/proc/self/fd/4 sh -c "$plug" sh $$ "$@"' sh "$@"`;

export interface PluggedComputer {
  /** The first process, by the machine's number. */
  readonly process: number;
  /** What the control groups of its processes name, and no others: the engine's id. */
  readonly proof: string;
  /** It ran before, and may have its wire. */
  readonly again: boolean;
}

export interface WiresOptions {
  readonly names: Names;
  readonly addresses: BridgeAddresses;
  readonly mtu: number;
  readonly shells: Shells;
  readonly log: Logger;
}

/**
 * Connects computers to the engine's bridge by pairs of devices. The engine does so too, but sets up a resolver inside of each
 * network of ours, which takes it longer than all the rest. A wire's name stands for its address, so the kernel
 * sees to it that no two are the same, and it goes with the computer's network; nothing is recorded.
 */
export class Wires {
  readonly #options: WiresOptions;

  private constructor(options: WiresOptions) {
    this.#options = options;
  }

  /** Undefined where this process can't: says why. */
  static async open(
    options: WiresOptions & { readonly runtime: string | undefined },
  ): Promise<{ readonly wires?: Wires; readonly problem: string }> {
    const { runtime, names } = options;
    if (process.geteuid?.() !== 0) return { problem: "the server does not run as root" };
    if (!PLAIN_RUNTIMES.includes(runtime ?? "")) return { problem: `the engine's runtime is ${runtime}` };
    if (!(await exists(names.bridge))) return { problem: "the engine's bridges are not on this machine" };
    if ((await readlink("/proc/self/ns/pid").catch(() => "")) !== MACHINE_PROCESSES) {
      return { problem: "the server does not see the machine's processes" };
    }
    if ((await readResolvers()).length === 0) return { problem: "the machine is its own resolver" };
    const wires = new Wires(options);
    try {
      await options.shells.run(TRIAL, [PLUG, ...(await wires.#words("", false))]);
      return { wires, problem: "" };
    } catch (error) {
      if (error instanceof DriverError || error instanceof ProgramError) return { problem: error.message };
      throw error;
    }
  }

  /** Of wires that are there, whatever has become of the bridge. */
  static async addressesInUse(names: Names): Promise<BridgeAddresses | undefined> {
    for (const name of await devices(names)) {
      const alias = await readFile(join(DEVICES, name, "ifalias"), "utf8").catch(() => "");
      const [address = "", gateway = ""] = alias.trim().split(",");
      const addresses = bridgeAddresses(subnetOf(address), gateway);
      if (addresses !== undefined) return addresses;
    }
    return undefined;
  }

  /** Whether the bridge is there. */
  async hasBridge(): Promise<boolean> {
    return exists(this.#options.names.bridge);
  }

  /** May be repeated. Throws a transient DriverError. */
  async plug({ process, proof, again }: PluggedComputer): Promise<void> {
    let problem: unknown;
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      try {
        const words = await this.#words(proof, again || attempt > 0);
        await this.#options.shells.run(PLUG, [String(process), ...words]);
        return;
      } catch (error) {
        if (!(error instanceof ProgramError)) throw error;
        problem = error;
      }
    }
    const said = problem instanceof Error ? problem.message : "";
    throw new DriverError(`A computer could not be connected to its network (${said}).`, {
      cause: problem,
      transient: true,
    });
  }

  /** Connects what lost its bridge to the one that there is now. */
  async replug(): Promise<void> {
    const { names } = this.#options;
    const words = (await devices(names)).flatMap((name) => [
      `link set dev ${name} master ${names.bridge}`,
      `link set dev ${name} type bridge_slave isolated on`,
    ]);
    if (words.length === 0) return;
    // Wires may go at any moment: each by itself.
    await runProgram("ip", ["-force", "-batch", "-"], { stdin: `${words.join("\n")}\n` }).catch((error: unknown) => {
      this.#options.log.debug({ err: error }, "not all computers could be connected again");
    });
  }

  async #words(proof: string, again: boolean): Promise<readonly string[]> {
    const { names, addresses, mtu } = this.#options;
    const number = await this.#freeNumber();
    const { address, mac } = wireAddress(addresses, number);
    return [proof, names.bridge, names.wire(number), address, mac, addresses.gateway, `${mtu}`, again ? "again" : ""];
  }

  /** By chance: one that was just let go is not given to the next. */
  async #freeNumber(): Promise<number> {
    const count = wireCount(this.#options.addresses);
    for (let look = 0; look < LOOKS; look += 1) {
      const number = Math.floor(Math.random() * count);
      if (!(await exists(this.#options.names.wire(number)))) return number;
    }
    throw new DriverError("The network of open sessions has no free address.", { transient: true });
  }
}

async function devices(names: Names): Promise<readonly string[]> {
  return (await readdir(DEVICES).catch(() => [])).filter((name) => names.isWire(name));
}

function exists(device: string): Promise<boolean> {
  return access(join(DEVICES, device)).then(
    () => true,
    () => false,
  );
}
