import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { networkInterfaces } from "node:os";
import { ApiError } from "@raworc/client";
import type { ExecRequest, Session } from "@raworc/contract";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { ATTACK_AGENTS, CANARY, ESCAPES } from "../support/attack-agents.ts";
import { deployAgents } from "../support/deploy.ts";
import { Repository } from "../support/repository.ts";
import { describeWith } from "../support/requirements.ts";
import { type Client, TestServer } from "../support/test-server.ts";

const LIMITS = { cpus: 0.5, memory_mb: 256, disk_mb: 128, pids: 64 };
/** Where packages come from on this machine; a public address as sessions see it. */
const registry = new URL(execFileSync("npm", ["config", "get", "registry"], { encoding: "utf8" }).trim());

for (const runtime of ["sandbox", "docker"] as const) {
  describeWith([runtime, "python"], `attacks from inside, on ${runtime}`, () => {
    let repository: Repository;
    let server: TestServer;
    let client: Client;
    let attacker: string;
    let bystander: string;

    beforeAll(async () => {
      repository = new Repository(ATTACK_AGENTS);
      server = await TestServer.start({ runtime });
      client = await server.client();
      await deployAgents(client, repository.path, { attacker: "attacker" });
      attacker = (await open({ limits: LIMITS })).id;
      bystander = (await open({})).id;
    });

    afterAll(async () => {
      await server?.destroy();
      repository?.remove();
    });

    const open = (body: { limits?: typeof LIMITS; network?: Session["network"] }): Promise<Session> =>
      client.call("sessions.create", { body: { ...body, wait: "ready" } });
    const exec = (id: string, command: ExecRequest["command"], more: Partial<ExecRequest> = {}) =>
      client.call("sessions.exec", { params: { id }, body: { command, ...more } });
    const sh = async (id: string, command: ExecRequest["command"], more: Partial<ExecRequest> = {}) =>
      (await exec(id, command, more)).stdout.trim();
    const send = (id: string, content: string) =>
      client.call("messages.create", { params: { id }, body: { content, wait: "reply" } });
    /** The neighbour works as ever, and so does the server. */
    const othersAreWell = async () => {
      expect(await sh(bystander, "echo well")).toBe("well");
      expect(await client.call("health.get")).toMatchObject({ status: "ok" });
    };

    test("an agent that takes all memory fails its message, and the session goes on", async () => {
      expect(await send(attacker, "hog")).toMatchObject({
        message: { status: "failed", error: { code: "agent_died", message: expect.stringContaining("memory_mb") } },
        reply: { role: "system" },
      });
      await othersAreWell();
      expect(await send(attacker, "nothing")).toMatchObject({ message: { status: "done" } });
    });

    test("a fork bomb is held to its own session, and ends with its command", async () => {
      const bomb = exec(attacker, "bomb() { bomb | bomb & }; bomb; while :; do :; done", { timeout_s: 2 });
      await othersAreWell();
      expect((await bomb).timed_out).toBe(true);
      // A busy kernel takes a while to bury hundreds of processes that were killed.
      await vi.waitFor(async () => expect(await sh(attacker, "echo again")).toBe("again"), 20_000);
      expect(await send(attacker, "nothing")).toMatchObject({ message: { status: "done" } });
    });

    test("one that is left in the background leaves no place for others, and goes with a pause", async () => {
      await exec(attacker, "bomb() { bomb | bomb & }; bomb");
      const answer = await exec(attacker, "echo again").catch((error: unknown) => error);
      if (answer instanceof ApiError) expect(answer.message).toContain("too many");
      else expect(answer).toMatchObject({ stdout: "again\n" });
      await othersAreWell();
      await client.call("sessions.pause", { params: { id: attacker } });
      await client.call("sessions.resume", { params: { id: attacker } });
      expect(await sh(attacker, "echo again")).toBe("again");
    });

    test("a full disk is an error for who fills it, and messages still end", async () => {
      const { stderr } = await exec(attacker, "head -c 300000000 /dev/zero > filler");
      expect(stderr).toContain("No space left on device");
      const answer = await send(attacker, "nothing");
      if (!("message" in answer)) throw new Error("The answer holds no message");
      // Where not even its start can be noted the message fails, and says why.
      if (answer.message.status === "failed") expect(answer.message.error?.message).toMatch(/space|disk/i);
      await othersAreWell();
      await exec(attacker, "rm filler");
      expect(await send(attacker, "nothing")).toMatchObject({ message: { status: "done" } });
    });

    test("a hundred thousand files are no trouble", async () => {
      const { id } = await open({});
      const make =
        "const fs = require('fs'); for (let i = 0; i < 100000; i += 1) { if (i % 1000 === 0) fs.mkdirSync('many/' + i / 1000, { recursive: true }); fs.writeFileSync('many/' + Math.floor(i / 1000) + '/' + i, ''); }";
      const { exit_code, stderr } = await exec(id, ["node", "-e", make], { timeout_s: 120 });
      expect([exit_code, stderr]).toEqual([0, ""]);
      await client.call("sessions.pause", { params: { id } });
      await client.call("sessions.resume", { params: { id } });
      expect(await sh(id, "find many -type f | wc -l")).toBe("100000");
      await client.call("sessions.delete", { params: { id } });
      await othersAreWell();
    });

    test("who spins on all processors doesn't keep others from theirs", async () => {
      const spinners = Promise.all([1, 2, 3].map(() => exec(attacker, "while :; do :; done", { timeout_s: 2 })));
      const message = send(attacker, "spin 1");
      await othersAreWell();
      for (const { timed_out } of await spinners) expect(timed_out).toBe(true);
      expect(await message).toMatchObject({ message: { status: "done" } });
    });

    test("a flood of prints is cut, and keeps within the disk", async () => {
      expect(await send(attacker, "flood 64")).toMatchObject({ message: { status: "done" } });
      expect(Number(await sh(attacker, "du -sm /session/logs | cut -f1"))).toBeLessThan(32);
      await othersAreWell();
    });

    test("what doesn't listen to SIGTERM is ended by a cancel, a pause and a deletion all the same", async () => {
      const { id } = await open({});
      const { id: message } = (await client.call("messages.create", {
        params: { id },
        body: { content: "deaf" },
      })) as { id: string };
      for await (const event of client.events(id)) if (event.type === "message.start") break;
      await client.call("sessions.cancel", { params: { id } });
      for await (const event of client.events(id)) {
        if (event.type !== "message.end") continue;
        expect(event.data).toMatchObject({ message_id: message, status: "cancelled" });
        break;
      }
      const deaf = "(trap '' TERM INT HUP; sleep 4321; sleep 4321) > /dev/null 2>&1 &";
      await exec(id, deaf);
      expect(await sh(id, "pgrep -xc sleep")).toBe("1");
      expect(await client.call("sessions.pause", { params: { id } })).toMatchObject({ state: "paused" });
      expect(await client.call("sessions.resume", { params: { id } })).toMatchObject({ state: "idle" });
      expect(await sh(id, "pgrep -xc sleep")).toBe("0");
      await exec(id, deaf);
      await client.call("sessions.delete", { params: { id } });
    });

    test("no way leads out of the computer, to the kernel's or to others' things", async () => {
      const canary = `canary-${randomUUID()}`;
      const hidden = exec(bystander, ["python3", "-c", CANARY, canary], { timeout_s: 60 }).catch(() => undefined);
      await expect.poll(() => sh(bystander, "cat /dev/shm/canary 2>/dev/null"), { timeout: 20_000 }).toBe(canary);
      const search = canary.slice(0, 20);
      const { stdout, stderr, exit_code } = await exec(attacker, ["python3", "-c", ESCAPES, search], {
        timeout_s: 120,
      });
      expect([exit_code, stderr]).toEqual([0, ""]);
      // Its own command line holds what it looks for; files don't.
      expect(stdout.trim().split("\n").filter(Boolean)).toEqual([]);
      await othersAreWell();
      await exec(bystander, "pkill -x python3");
      await hidden;
    });

    describe("networks", () => {
      /** Tries to connect, and gives the addresses that let it. */
      const REACH = `
        const net = require("node:net"), fs = require("node:fs");
        const gateways = fs.readFileSync("/proc/net/route", "utf8").split("\\n").slice(1).map((line) => line.split(/\\s+/)[2])
          .filter((hex) => hex && hex !== "00000000").map((hex) => hex.match(/../g).reverse().map((byte) => parseInt(byte, 16)).join("."));
        for (const host of [...JSON.parse(process.argv[1]), ...gateways]) for (const port of JSON.parse(process.argv[2])) {
          const socket = net.connect({ host, port, timeout: 2000 }, () => { console.log(host + ":" + port); socket.destroy(); });
          socket.on("error", () => {}).on("timeout", () => socket.destroy());
        }`;
      /** Asks the proxy inside for addresses, plainly and for a tunnel; gives status codes. */
      const PROXIED = `
        const http = require("node:http");
        const proxy = { host: "127.0.0.1", port: 3128, agent: false };
        const ask = (options) => new Promise((resolve) => {
          const call = http.request({ ...proxy, ...options }).on("error", (error) => resolve(error.code));
          call.on("response", (answer) => { answer.resume(); resolve(answer.statusCode); });
          call.on("connect", (answer, socket) => { socket.destroy(); resolve(answer.statusCode); });
          call.end();
        });
        (async () => {
          for (const target of JSON.parse(process.argv[1])) {
            const plain = await ask({ path: "http://" + target + "/" });
            const tunnel = await ask({ method: "CONNECT", path: target.includes(":") ? target : target + ":80" });
            console.log(target, plain, tunnel);
          }
        })();`;
      const machine = () =>
        Object.values(networkInterfaces()).flatMap((all = []) =>
          all.filter(({ address }) => !address.startsWith("fe80")).map(({ address }) => address),
        );
      const reach = (id: string, hosts: readonly string[], ports: readonly number[]) =>
        sh(id, ["node", "-e", REACH, JSON.stringify(hosts), JSON.stringify(ports)]);
      const proxied = async (id: string, targets: readonly string[]): Promise<Record<string, string[]>> => {
        const text = await sh(id, ["node", "-e", PROXIED, JSON.stringify(targets)]);
        return Object.fromEntries(text.split("\n").map((line) => [line.split(" ")[0], line.split(" ").slice(1)]));
      };
      const fetches = (id: string) =>
        exec(id, [
          "node",
          "-e",
          `fetch(${JSON.stringify(registry.href)}).then((answer) => console.log(answer.status > 0))`,
        ]);
      const apiPort = () => Number(new URL(server.url).port);
      /** Ways to write this machine's addresses. */
      const own = () =>
        ["127.0.0.1", "localhost", "localhost.", "0.0.0.0", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::1]"]
          .concat(
            ["[::ffff:127.0.0.1]", "[::]", "host.docker.internal", "ip6-localhost"],
            machine().filter((ip) => !ip.includes(":")),
          )
          .map((host) => `${host}:${apiPort()}`);

      test.each(["open", "allowlist", "none"] as const)("%s leads to nothing private", async (mode) => {
        const network = mode === "allowlist" ? { mode, allow: ["*.internal", "localhost"] } : { mode };
        const { id } = await open({ network });
        await exec(
          bystander,
          'node -e \'require("http").createServer((_, answer) => answer.end()).listen(8000, "0.0.0.0")\' > /dev/null 2>&1 &',
        );
        const neighbour = (await sh(bystander, "hostname -I 2>/dev/null || true")).split(" ").filter(Boolean);
        const hosts = [...machine(), "127.0.0.1", "::1", "host.docker.internal", "169.254.169.254", ...neighbour];
        expect(await reach(id, hosts, [apiPort(), 80, 2375, 3306, 8000])).toBe("");
        const refused = await proxied(id, [
          ...own(),
          "169.254.169.254",
          "169.254.169.254:80",
          "metadata.google.internal",
        ]);
        for (const [target, codes] of Object.entries(refused)) {
          for (const code of codes) expect(["403", "400", "502", "ECONNREFUSED"], `${target} ${code}`).toContain(code);
        }
        const { stdout, exit_code } = await fetches(id);
        if (mode === "open") expect(stdout).toBe("true\n");
        else expect(exit_code).not.toBe(0);
        await client.call("sessions.delete", { params: { id } });
      });

      test("allowlist leads to what is listed, by name, and there is no way around the proxy", async () => {
        const { id } = await open({ network: { mode: "allowlist", allow: [registry.hostname] } });
        expect(await fetches(id)).toMatchObject({ stdout: "true\n", exit_code: 0 });
        // Not by address, by another port, by a name below or beside it, nor by asking for names.
        const [address = ""] = execFileSync("getent", ["ahostsv4", registry.hostname], { encoding: "utf8" }).split(" ");
        expect(await reach(id, [address, registry.hostname, "1.1.1.1", "8.8.8.8"], [443, 80, 53])).toBe("");
        const refused = await proxied(id, [
          address,
          `${address}:443`,
          `${registry.hostname}:22`,
          `${registry.hostname}:8443`,
          `other.${registry.hostname}:443`,
          `${registry.hostname}.example.com:443`,
          `x${registry.hostname}:443`,
        ]);
        for (const [target, codes] of Object.entries(refused)) expect(codes, target).toEqual(["403", "403"]);
        const lookups =
          "const dns = require('node:dns'); dns.lookup('example.com', (error) => console.log(error ? 'none' : 'found'));" +
          "dns.setServers(['1.1.1.1']); dns.resolve4('example.com', (error) => console.log(error ? 'none' : 'found'));" +
          "setTimeout(() => process.exit(), 3000);";
        expect(await sh(id, ["node", "-e", lookups])).not.toContain("found");
        await client.call("sessions.delete", { params: { id } });
      });
    });
  });
}
