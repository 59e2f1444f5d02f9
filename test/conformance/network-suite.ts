import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { COMPUTER } from "@raworc/contract";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run } from "./computer-calls.ts";
import type { SuiteComputers } from "./suite-computers.ts";

/** Where computers of each network mode get to, and where not. */
export function networkSuite(computers: SuiteComputers): void {
  const { inside, remove, started } = computers;
  describe("network", () => {
    let server: Server;
    let port: number;

    beforeAll(async () => {
      server = createServer((_, response) => response.end("reached the machine"));
      await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
      port = (server.address() as AddressInfo).port;
    });
    afterAll(() => new Promise((resolve) => server.close(resolve)));

    /** Connects to each address for real, and names those that let it. */
    const reachable = (id: string, addresses: readonly string[]): Promise<string> =>
      inside(
        [
          "node",
          "-e",
          `const net = require("node:net");
           for (const host of ${JSON.stringify(addresses)}) {
             const socket = net.connect({ host, port: ${port}, timeout: 1500 }, () => { console.log(host); socket.destroy(); });
             socket.on("error", () => {}).on("timeout", () => socket.destroy());
           }`,
        ],
        id,
      );
    const own = (): string[] => [
      ...Object.values(networkInterfaces()).flatMap((all = []) => all.map(({ address }) => address)),
      "169.254.169.254",
    ];
    /** Asks the proxy inside for an address. */
    const proxied = (id: string, url: string): Promise<string> =>
      inside(
        [
          "node",
          "-e",
          `require("node:http").get({ host: "127.0.0.1", port: 3128, path: ${JSON.stringify(url)} },
             (answer) => { process.stdout.write(answer.statusCode + " "); answer.pipe(process.stdout); })
             .on("error", (error) => console.log(error.code));`,
        ],
        id,
      );

    it("none has no way to anything", async () => {
      expect(await reachable(computers.shared, own())).toBe("");
      expect(await proxied(computers.shared, `http://localhost:${port}/`)).toBe("ECONNREFUSED");
      expect((await run(computers.driver, computers.shared, "getent hosts example.com")).exitCode).not.toBe(0);
    });

    it("open has no way to the machine's own addresses", async () => {
      const id = await started({ network: { mode: "open", allow: [] } });
      expect(await reachable(id, own())).toBe("");
      await remove(id);
    });

    it("allowlist reaches what is listed by the proxy alone", async () => {
      const id = await started({ network: { mode: "allowlist", allow: ["*.example.com"] } });
      expect(await reachable(id, own())).toBe("");
      expect(await proxied(id, `http://localhost:${port}/`)).toBe("200 reached the machine");
      expect(await proxied(id, `http://127.0.0.1:${port}/`)).toMatch(/^403 /);
      expect(await proxied(id, "http://raworc.example.org/")).toMatch(/^403 /);
      expect(await inside("echo $HTTPS_PROXY", id)).toBe(COMPUTER.egressProxy);
      await remove(id);
    });
  });
}
