import { describe, expect, it } from "vitest";
import { type BridgeAddresses, bridgeAddresses, subnetOf, wireAddress, wireCount } from "./wire-addresses.ts";

function addressesOf(subnet: string, gateway: string): BridgeAddresses {
  const addresses = bridgeAddresses(subnet, gateway);
  if (addresses === undefined) throw new Error(`No addresses of ${subnet}`);
  return addresses;
}

describe("addresses of wires", () => {
  it("are those of the upper half, without the one for all", () => {
    const small = addressesOf("192.168.176.0/28", "192.168.176.1");
    const all = Array.from({ length: wireCount(small) }, (_, number) => wireAddress(small, number).address);
    expect(all).toEqual([14, 13, 12, 11, 10, 9, 8].map((last) => `192.168.176.${last}/28`));
    const usual = addressesOf("172.18.0.0/16", "172.18.0.1");
    expect(wireAddress(usual, 0).address).toBe("172.18.255.254/16");
    expect(wireAddress(usual, wireCount(usual) - 1).address).toBe("172.18.128.0/16");
    const large = addressesOf("10.0.0.0/8", "10.0.0.1");
    expect(wireAddress(large, wireCount(large) - 1).address).toBe("10.254.255.255/8");
  });

  it("have a MAC each that stands for them, and tell their network", () => {
    const addresses = addressesOf("172.18.0.0/16", "172.18.0.1");
    const { address, mac } = wireAddress(addresses, 0x0fff);
    expect([address, mac]).toEqual(["172.18.239.255/16", "02:42:ac:12:ef:ff"]);
    expect(subnetOf(address)).toBe(addresses.subnet);
    expect(subnetOf("192.168.191.200/20")).toBe("192.168.176.0/20");
  });

  it("are none where a network is too small, or not of IPv4", () => {
    expect(bridgeAddresses("10.0.0.0/29", "10.0.0.1")).toBeUndefined();
    expect(bridgeAddresses("fd00::/64", "fd00::1")).toBeUndefined();
    expect(bridgeAddresses("", "")).toBeUndefined();
  });
});
