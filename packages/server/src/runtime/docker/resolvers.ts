import { readFile } from "node:fs/promises";
import { isIPv4 } from "node:net";

/** The second is what the engine takes where the first names the machine's own resolver. */
const RESOLVER_FILES = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/** Addresses of the machine's resolvers that computers can ask; IPv4. */
export async function readResolvers(): Promise<readonly string[]> {
  const texts = await Promise.all(RESOLVER_FILES.map((path) => readFile(path, "utf8").catch(() => "")));
  const addresses = texts.flatMap((text) =>
    [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, address = ""]) => address),
  );
  return [...new Set(addresses)].filter((address) => isIPv4(address) && !address.startsWith("127.")).sort();
}
