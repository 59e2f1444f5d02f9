import { isIPv4 } from "node:net";

/** As many as four hexadecimal digits name. */
const NUMBERS_MAX = 0x10000;
/** Two addresses for the bridge's own sake, and a half of at least one: smaller networks have nothing to give. */
const PREFIX_LENGTH_MAX = 28;
const BITS = 32;

/** The addresses of one bridge; IPv4. */
export interface BridgeAddresses {
  /** The bridge's own, where everything else is reached through. */
  readonly gateway: string;
  readonly prefixLength: number;
  /** As the engine writes it, `172.18.0.0/16`. */
  readonly subnet: string;
}

export interface WireAddress {
  /** With the length of the network's prefix, `172.18.255.1/16`. */
  readonly address: string;
  readonly mac: string;
}

/** Undefined where computers can't be given addresses of it. */
export function bridgeAddresses(subnet: string, gateway: string): BridgeAddresses | undefined {
  const [network = "", length = ""] = subnet.split("/");
  const prefixLength = Number(length);
  if (!isIPv4(network) || !isIPv4(gateway) || !Number.isInteger(prefixLength)) return undefined;
  return prefixLength < 1 || prefixLength > PREFIX_LENGTH_MAX ? undefined : { gateway, prefixLength, subnet };
}

/** How many computers can have an address: those of the upper half, since the engine gives out its own from below. */
export function wireCount({ prefixLength }: BridgeAddresses): number {
  return Math.min(NUMBERS_MAX, 2 ** (BITS - prefixLength - 1) - 1);
}

/** The address with a number, counted from the top. The same address always has the same MAC, so no neighbour remembers a wrong one. */
export function wireAddress({ subnet, prefixLength }: BridgeAddresses, number: number): WireAddress {
  const broadcast = toNumber(subnet.split("/")[0] ?? "") + 2 ** (BITS - prefixLength) - 1;
  const bytes = toBytes(broadcast - 1 - number);
  const mac = ["02", "42", ...bytes.map((byte) => byte.toString(16).padStart(2, "0"))].join(":");
  return { address: `${bytes.join(".")}/${prefixLength}`, mac };
}

/** The network that an address with the length of its prefix is of. */
export function subnetOf(address: string): string {
  const [ip = "", length = ""] = address.split("/");
  const size = 2 ** (BITS - Number(length));
  return `${toBytes(Math.floor(toNumber(ip) / size) * size).join(".")}/${length}`;
}

function toNumber(address: string): number {
  return address.split(".").reduce((number, byte) => number * 256 + Number(byte), 0);
}

function toBytes(number: number): number[] {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256);
}
