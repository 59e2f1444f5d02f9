import { execFile, spawn } from "node:child_process";
import { randomUUIDv7 } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { COMPUTER } from "@raworc/contract";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HOST_NODE_FLAGS } from "../../packages/host/src/node-flags.ts";
import type { DockerDriver } from "../../packages/server/src/runtime/docker/docker-driver.ts";
import { Names } from "../../packages/server/src/runtime/docker/names.ts";
import {
  createDockerDriver,
  type DockerDriverOptions,
} from "../../packages/server/src/runtime/docker/open-docker-driver.ts";
import { EgressProxy } from "../../packages/server/src/runtime/egress.ts";
import { ensureHostProgram } from "../../packages/server/src/runtime/host-program.ts";
import { memoryGroupOf } from "../../packages/server/src/runtime/memory-group.ts";
import { describeWith, skipWithout } from "../support/requirements.ts";
import { claim, open, output, run, specOf } from "./computer-calls.ts";
import { type DriverFixture, driverSuite } from "./driver-suite.ts";

const exec = promisify(execFile);
const docker = async (...words: string[]): Promise<string> => (await exec("docker", words)).stdout.trim();
const container = (id: string): string => `raworc_session_${id}`;
const lines = (text: string): string[] => text.split("\n").filter((line) => line !== "");

interface DockerFixture extends DriverFixture {
  readonly dataDirectory: string;
  open(instanceId: string, more?: Partial<DockerDriverOptions>): Promise<DockerDriver>;
}

async function makeFixture(): Promise<DockerFixture> {
  const dataDirectory = await mkdtemp(join(tmpdir(), "raworc-docker-"));
  const log = pino({ level: "silent" });
  const hostProgram = await ensureHostProgram(dataDirectory).catch(async (error: unknown) => {
    await rm(dataDirectory, { recursive: true, force: true });
    throw error;
  });
  const opened: DockerDriver[] = [];
  const proxies: EgressProxy[] = [];
  return {
    dataDirectory,
    async open(instanceId, more = {}) {
      const egress = new EgressProxy({ log, mirrorHosts: ["localhost"] });
      const driver = await createDockerDriver({
        instanceId,
        dataDirectory,
        hostProgram,
        egress,
        certificates: null,
        mirrorHosts: [],
        userHome: dataDirectory,
        path: process.env["PATH"] ?? "",
        returnMemoryAfterMs: 0,
        log,
        engineSocket: "/var/run/docker.sock",
        sessionImage: "raworc_session:dev",
        ...more,
      });
      opened.push(driver);
      proxies.push(egress);
      return driver;
    },
    async kill(id) {
      await docker("kill", "--signal", "KILL", container(id));
    },
    async memoryGroup(id) {
      const [pid, engineId = ""] = (await docker("inspect", "-f", "{{.State.Pid}} {{.Id}}", container(id))).split(" ");
      return memoryGroupOf(Number(pid), engineId);
    },
    async traces(id) {
      const label = ["--filter", `name=${id}`, "--format"];
      return [
        ...lines(await docker("ps", "--all", ...label, "{{.Names}}")),
        ...lines(await docker("volume", "ls", ...label, "{{.Name}}")),
        ...lines(await readFile("/proc/mounts", "utf8")).filter((line) => line.includes(id)),
        ...lines((await exec("find", [dataDirectory, "-name", `*${id}*`])).stdout),
        ...lines((await exec("losetup", ["--list", "--noheadings", "--output", "BACK-FILE"])).stdout).filter((line) =>
          line.includes(id),
        ),
      ];
    },
    async close() {
      // The last one of each installation is open no more: another removes what all of them made.
      for (const driver of opened) {
        await driver.reset();
        await driver.close();
      }
      await Promise.all(proxies.map((proxy) => proxy.close()));
      await rm(dataDirectory, { recursive: true, force: true });
    },
  };
}

describeWith(["docker"], "docker", () => {
  driverSuite("docker", makeFixture);

  describe("docker driver, beside what all drivers promise", () => {
    const instanceId = randomUUIDv7();
    let fixture: DockerFixture;
    let driver: DockerDriver;

    beforeAll(async () => {
      fixture = await makeFixture();
      driver = await fixture.open(instanceId);
    });
    afterAll(async () => {
      await fixture.close();
    });
    const remove = (id: string): Promise<void> => driver.remove(id, { volume: true });
    const signal = (): AbortSignal => AbortSignal.timeout(60_000);
    const networkMode = (id: string): Promise<string> =>
      docker("inspect", "--format", "{{.HostConfig.NetworkMode}}", container(id));
    /** Where the driver connects computers to their network itself, and tests may look into namespaces. */
    const isRoot = process.geteuid?.() === 0;

    it("lets files be written again that stand still for a copy whose server was killed", async (test) => {
      skipWithout(driver.capabilities.limits.disk_mb, test, "a limit of disk_mb");
      const spec = specOf();
      await open(driver, spec);
      const folder = join(fixture.dataDirectory, "docker", new Names(instanceId).folder, "volumes", spec.id);
      const standStill = async () => {
        await writeFile(join(folder, "standstill"), "");
        await exec("fsfreeze", ["--freeze", join(folder, "mount")]);
      };
      await standStill();
      const next = await fixture.open(instanceId);
      await open(next, spec);
      expect(await output(next, spec.id, "echo written > /session/workspace/file; cat /session/workspace/file")).toBe(
        "written",
      );
      await standStill();
      await remove(spec.id);
      expect(await fixture.traces(spec.id)).toEqual([]);
    });

    it("takes two calls of the engine for a new computer, whatever its network", async () => {
      // The first one makes the network and its fence.
      await remove(await open(driver, specOf({ network: { mode: "open", allow: [] } })));
      for (const mode of ["open", "allowlist", "none"] as const) {
        const spec = specOf({ network: { mode, allow: [] } });
        const before = driver.engineCalls;
        await driver.start(spec, signal());
        expect(driver.engineCalls - before, mode).toBe(2);
        await remove(spec.id);
      }
    });

    it("tells of others' pauses, and not of its own", async () => {
      const id = await open(driver, specOf());
      const told: string[] = [];
      const leaving = new AbortController();
      const { promise: heard, resolve } = Promise.withResolvers<void>();
      driver.watch((notice) => {
        told.push(notice.id);
        resolve();
      }, leaving.signal);
      await driver.freeze(id);
      await driver.thaw(id);
      await driver.freeze(id);
      await driver.thaw(id);
      expect(told).toEqual([]);
      // Events come in order: those of the driver's own pauses would have been told before this one.
      await docker("pause", container(id));
      await heard;
      expect(told).toEqual([id]);
      leaving.abort();
      await remove(id);
    });

    it("names and labels as people know them, and shows no secret", async () => {
      const { id } = specOf();
      const started = await driver.start(specOf({ id }), signal());
      expect(started).toMatchObject({ containerId: container(id), volumeId: `raworc_session_data_${id}` });
      await claim(driver, id, { CANARY: "c4n4ry-in-a-coal-mine" });
      expect(await output(driver, id, "echo $CANARY | tee /session/logs-of-mine")).toBe("c4n4ry-in-a-coal-mine");
      const shown = [
        await docker("inspect", container(id)),
        await docker("logs", container(id)),
        await docker("volume", "inspect", `raworc_session_data_${id}`),
      ].join("\n");
      expect(shown).not.toContain("c4n4ry");
      const [{ Config }] = JSON.parse(await docker("inspect", container(id))) as [
        { Config: { Labels: object; Env: string[] } },
      ];
      expect(Config.Labels).toMatchObject({
        "raworc.managed": "true",
        "raworc.instance": instanceId,
        "raworc.session": id,
        "raworc.space": "space",
      });
      expect(Config.Env.map((line) => line.split("=")[0]).sort()).toEqual(
        ["LANG", "PATH", ...Object.keys(HOST_NODE_FLAGS.environment)].sort(),
      );
      expect(await docker("exec", container(id), "ls", "/session/logs")).toBe("host.log");
      await remove(id);
    });

    it("tells what a host said that ends before it is ready", async () => {
      const directory = join(fixture.dataDirectory, "broken");
      await mkdir(directory);
      await writeFile(join(directory, "host.mjs"), "console.error('the sky fell'); process.exit(3);");
      const broken = await fixture.open(instanceId, { hostProgram: { directory, hash: "broken" } });
      const spec = specOf();
      await expect(broken.start(spec, signal())).rejects.toThrow(/exit code 3.*the sky fell/s);
      // The next version makes the container anew.
      await open(driver, spec);
      expect(await output(driver, spec.id, "echo well")).toBe("well");
      await remove(spec.id);
    });

    it("keeps open sessions from each other", async () => {
      const network = { mode: "open" as const, allow: [] };
      const [one, other] = [specOf({ network }), specOf({ network })];
      await Promise.all([open(driver, one), open(driver, other)]);
      const address = await output(driver, other.id, "hostname -I");
      const listen = 'require("node:net").createServer((socket) => socket.end()).listen(8000, () => console.log("up"))';
      const listening = output(driver, other.id, ["timeout", "4", "node", "-e", listen]).catch(() => "");
      const connect = `require("node:net").connect({ host: "${address}", port: 8000, timeout: 1500 })
        .on("connect", () => process.exit(0)).on("error", () => process.exit(1)).on("timeout", () => process.exit(2))`;
      expect((await run(driver, one.id, ["sh", "-c", 'sleep 1; exec node -e "$0"', connect])).exitCode).not.toBe(0);
      await listening;
      await Promise.all([remove(one.id), remove(other.id)]);
    });

    it("connects open sessions to their network itself, and again where that was cut short", async (test) => {
      skipWithout(isRoot, test, "root, to connect computers");
      const spec = specOf({ network: { mode: "open", allow: [] } });
      await open(driver, spec);
      expect(await networkMode(spec.id)).toBe("none");
      const first = await docker("inspect", "--format", "{{.State.Pid}}", container(spec.id));
      const inside = async (...words: string[]): Promise<string> =>
        (await exec("nsenter", [`--net=/proc/${first}/ns/net`, "ip", "-oneline", "-4", ...words])).stdout.trim();
      const address = await inside("address", "show", "dev", "eth0");
      // One that has its way out is left as it is.
      await driver.start(spec, signal());
      expect(await inside("address", "show", "dev", "eth0")).toBe(address);
      // A server that was killed left it without.
      await inside("route", "delete", "default");
      await (await fixture.open(instanceId)).start(spec, signal());
      expect(await inside("route", "show", "default")).toMatch(/^default via .* dev eth0/);
      await driver.stop(spec.id, 1000);
      await driver.start(spec, signal());
      expect(await output(driver, spec.id, "hostname -I; getent hosts $(hostname)")).toMatch(
        /^\d+\.\d+\.\d+\.\d+ \n127/,
      );
      await remove(spec.id);
    });

    it("has the network again that somebody removed below running sessions", async (test) => {
      skipWithout(isRoot, test, "root, to connect computers");
      const spec = specOf({ network: { mode: "open", allow: [] } });
      await open(driver, spec);
      const { network, bridge } = new Names(instanceId);
      const leaving = new AbortController();
      driver.watch(() => undefined, leaving.signal);
      const subnet = () => docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}}", network);
      const way = async (id: string): Promise<readonly string[]> => {
        const gateway = await output(driver, id, "awk '$2 == \"00000000\" { print $3 }' /proc/net/route");
        return [await subnet(), gateway];
      };
      const before = await way(spec.id);
      await docker("network", "rm", network);
      const other = specOf({ network: { mode: "open", allow: [] } });
      await open(driver, other);
      expect(await way(other.id)).toEqual(before);
      const { stdout: ports } = await exec("ip", ["-oneline", "link", "show", "master", bridge]);
      for (const { id } of [spec, other]) expect(ports).toContain(`alias ${await output(driver, id, "hostname -I")}/`);
      leaving.abort();
      await Promise.all([remove(spec.id), remove(other.id)]);
    });

    it("lets the engine connect open sessions where it can't itself", async () => {
      const other = randomUUIDv7();
      const names = new Names(other);
      const labels = Object.entries(names.labels({})).flatMap(([name, value]) => ["--label", `${name}=${value}`]);
      const bridge = ["--opt", `com.docker.network.bridge.name=${names.bridge}`];
      // Too small to have addresses beside the engine's.
      await docker("network", "create", ...labels, ...bridge, "--subnet", "198.18.0.8/29", names.network);
      const without = await fixture.open(other);
      const spec = specOf({ network: { mode: "open", allow: [] } });
      await open(without, spec);
      expect(await networkMode(spec.id)).toBe(names.network);
      expect(await output(without, spec.id, "hostname -I")).toMatch(/^198\.18\.0\./);
      await without.reset();
    });

    it("gives open sessions the proxy where their network can't be fenced", async () => {
      const other = randomUUIDv7();
      const { network: name } = new Names(other);
      await docker("network", "create", "--internal", name);
      try {
        const without = await fixture.open(other);
        const spec = specOf({ network: { mode: "open", allow: [] } });
        await open(without, spec);
        expect(await networkMode(spec.id)).toBe("none");
        expect(await output(without, spec.id, "echo $HTTPS_PROXY")).toBe(COMPUTER.egressProxy);
        await without.reset();
        expect(await docker("network", "ls", "--quiet", "--filter", `name=${name}`)).not.toBe("");
        const { stdout } = await exec("nft", ["list", "tables"]).catch(() => ({ stdout: "" }));
        expect(stdout).not.toContain(name);
      } finally {
        await docker("network", "rm", name);
      }
    });

    it("touches nothing that it did not make", async () => {
      const { id } = specOf();
      await docker("create", "--name", container(id), "raworc_session:dev");
      try {
        await expect(driver.start(specOf({ id }), signal())).rejects.toMatchObject({ transient: false });
        await remove(id);
        expect(await docker("ps", "--all", "--quiet", "--filter", `name=${id}`)).not.toBe("");
      } finally {
        await docker("rm", container(id));
      }
    });

    it("follows no link that a root inside makes", async (test) => {
      skipWithout(isRoot, test, "root");
      const spec = specOf({ root: true });
      const victim = specOf();
      await Promise.all([open(driver, spec), open(driver, victim)]);
      const target = `../${basename(driver.socketDirectory(victim.id))}/${COMPUTER.hostSocket}`;
      await output(driver, spec.id, `ln -sf ${target} ${COMPUTER.socketDirectory}/${COMPUTER.hostSocket}`);
      await expect(output(driver, spec.id, "echo reached the other")).rejects.toThrow();
      await Promise.all([remove(spec.id), remove(victim.id)]);
    });

    it("makes a build's image again from its artifacts", async () => {
      const builder = specOf({ kind: "builder" });
      await open(driver, builder);
      const key = randomUUIDv7();
      const path = `${COMPUTER.artifacts}/${key}`;
      await output(driver, builder.id, `mkdir ${path} && echo agent > ${path}/file`);
      await driver.storeArtifact(key, { computerId: builder.id, path }, signal());
      await remove(builder.id);
      const build = { buildId: randomUUIDv7(), spaceId: "space", spaceName: "a___space", artifactKeys: [key] };
      const imageTag = await driver.composeBuild(build, signal());
      await docker("rmi", imageTag);
      const spec = specOf({ build: { buildId: build.buildId, imageTag, artifactKeys: [key] } });
      await open(driver, spec);
      expect(await output(driver, spec.id, `cat ${path}/file`)).toBe("agent");
    });

    it("leaves nothing after a reset, which waits for whoever is still in its way", async () => {
      const spec = specOf();
      await open(driver, spec);
      const labels = ["--label", "raworc.managed=true", "--label", `raworc.instance=${instanceId}`];
      await docker("create", ...labels, "--label", "raworc.kind=work", "raworc_session:dev", "true");
      const disk = join(fixture.dataDirectory, "docker", new Names(instanceId).folder, "volumes", spec.id, "mount");
      // What a killed server has started may hold a disk a moment longer than its server.
      const holder = driver.capabilities.limits.disk_mb ? spawn("sleep", ["1"], { cwd: disk }) : undefined;
      await driver.reset();
      holder?.kill();
      const label = ["--filter", `label=raworc.instance=${instanceId}`];
      for (const noun of ["container", "volume", "network", "image"]) {
        const all = noun === "container" || noun === "image" ? ["--all"] : [];
        expect(await docker(noun, "ls", "--quiet", ...all, ...label), noun).toBe("");
      }
      const mounts = await readFile("/proc/mounts", "utf8");
      expect(mounts).not.toContain(fixture.dataDirectory);
      const { stdout } = await exec("nft", ["list", "tables"]).catch(() => ({ stdout: "" }));
      expect(stdout).not.toContain(new Names(instanceId).network);
    });
  });
});
