import { execFileSync } from "node:child_process";
import { randomUUIDv7 } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { expect, it } from "vitest";
import { EgressProxy } from "../../packages/server/src/runtime/egress.ts";
import { ensureHostProgram } from "../../packages/server/src/runtime/host-program.ts";
import { memoryGroupOf } from "../../packages/server/src/runtime/memory-group.ts";
import { Layout } from "../../packages/server/src/runtime/sandbox/layout.ts";
import { createSandboxDriver } from "../../packages/server/src/runtime/sandbox/sandbox-driver.ts";
import { describeWith, has } from "../support/requirements.ts";
import { noticeOf, open, output, specOf } from "./computer-calls.ts";
import { type DriverFixture, driverSuite } from "./driver-suite.ts";

const IMAGE = "raworc_session:dev";
const log = pino({ level: process.env["RAWORC_TEST_LOG"] ?? "silent" });

interface SandboxFixture extends DriverFixture {
  /** Kills the process that bubblewrap leaves outside. */
  killMonitor(id: string): void;
}

/** `image`: computers start from an unpacked session image instead of the machine's own files. */
async function makeFixture(
  image: boolean,
  dataDirectory = mkdtempSync(join(tmpdir(), "raworc-")),
): Promise<SandboxFixture> {
  const hostProgram = await ensureHostProgram(dataDirectory);
  const rootDirectory = image ? unpackImage(join(dataDirectory, "image")) : undefined;
  const proxies: EgressProxy[] = [];
  const labels = new Set<string>();

  const recordOf = (id: string) => {
    const label = [...labels].find((each) => existsSync(join(dataDirectory, "sandbox", each, "computers", id)));
    const path = join(dataDirectory, "sandbox", label ?? "", "computers", id, "record.json");
    return JSON.parse(readFileSync(path, "utf8")) as { monitor: { pid: number }; init: { pid: number } };
  };

  return {
    async open(instanceId) {
      labels.add(new Layout(dataDirectory, instanceId).label);
      const egress = new EgressProxy({ log, mirrorHosts: ["localhost"] });
      proxies.push(egress);
      return createSandboxDriver({
        instanceId,
        dataDirectory,
        hostProgram,
        egress,
        certificates: process.env["SSL_CERT_FILE"] ?? null,
        mirrorHosts: ["localhost"],
        userHome: homedir(),
        path: process.env["PATH"] ?? "",
        returnMemoryAfterMs: 0,
        log,
        ...(rootDirectory !== undefined && { rootDirectory }),
      });
    },
    async kill(id) {
      process.kill(recordOf(id).init.pid, "SIGKILL");
    },
    memoryGroup(id) {
      return memoryGroupOf(recordOf(id).init.pid, id);
    },
    killMonitor(id) {
      process.kill(recordOf(id).monitor.pid, "SIGKILL");
    },
    async traces(id) {
      return [
        ...foldersOf(dataDirectory, id),
        ...[...labels].flatMap((label) => groupsOf(label, id)),
        ...mountsOf(id),
        ...processesOf(dataDirectory, id),
      ];
    },
    async close() {
      for (const proxy of proxies) await proxy.close();
      for (const label of labels) removeGroups(label);
      await rm(dataDirectory, { recursive: true, force: true });
    },
  };
}

function unpackImage(directory: string): string {
  const script = `set -e; mkdir "$1"; id=$(docker create ${IMAGE}); docker export "$id" | tar -x -C "$1"; docker rm "$id" >/dev/null`;
  execFileSync("sh", ["-c", script, "unpack", directory], { stdio: "inherit" });
  return directory;
}

function foldersOf(dataDirectory: string, id: string): string[] {
  const folder = join(dataDirectory, "sandbox");
  const names = execFileSync("find", [folder, "-name", `*${id}*`], { encoding: "utf8" });
  return names.split("\n").filter(Boolean);
}

/** Control groups of both versions, wherever on this machine they begin. */
function groupsOf(label: string, id: string): string[] {
  const script = 'ls -d /sys/fs/cgroup/raworc_"$1"/*"$2"* /sys/fs/cgroup/*/raworc_"$1"/*"$2"* 2>/dev/null || true';
  return execFileSync("sh", ["-c", script, "list", label, id], { encoding: "utf8" }).split("\n").filter(Boolean);
}

function removeGroups(label: string): void {
  const script = 'rmdir /sys/fs/cgroup/raworc_"$1" /sys/fs/cgroup/*/raworc_"$1" 2>/dev/null || true';
  execFileSync("sh", ["-c", script, "remove", label]);
}

/** Mounts that this process sees, and disks that are still bound to a computer's image. */
function mountsOf(id: string): string[] {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const disks = execFileSync("losetup", ["--list", "--noheadings", "--output", "BACK-FILE"], { encoding: "utf8" });
  return [...mounts, ...disks.split("\n")].filter((line) => line.includes(id));
}

/** Processes whose view of files has something of the computer. */
function processesOf(dataDirectory: string, id: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const mounts = readFileSync(`/proc/${pid}/mountinfo`, "utf8");
      return mounts.includes(id) && mounts.includes(dataDirectory.slice(1).split("/").at(-1) ?? "");
    } catch {
      return false;
    }
  });
}

/** A user without rights or further ids, as whom a test can run where this process is root. */
const NOBODY = 65_534;

describeWith(["sandbox"], "sandbox conformance", () => {
  driverSuite("sandbox", () => makeFixture(false));
  if (has("docker")) driverSuite("sandbox from an unpacked image", () => makeFixture(true));

  it("reaches computers however long the data directory's path is", async () => {
    const folder = mkdtempSync(join(tmpdir(), "raworc-"));
    const long = join(folder, "the-home-of-somebody-with-a-long-name".repeat(3), ".raworc");
    const fixture = await makeFixture(false, long);
    try {
      const driver = await fixture.open(randomUUIDv7());
      const spec = specOf({ network: { mode: "allowlist", allow: [] } });
      await open(driver, spec);
      // The proxy answers too, with a refusal.
      const asked = "curl -sS -o /dev/null -w '%{http_code}' http://example.invalid/ || true";
      expect(await output(driver, spec.id, asked)).toBe("403");
      await driver.remove(spec.id, { volume: true });
      expect(await fixture.traces(spec.id)).toEqual([]);
      await driver.close();
    } finally {
      await fixture.close();
      await rm(folder, { recursive: true });
    }
  });

  it("leaves nothing of a launch that was begun ahead", async () => {
    const dataDirectory = mkdtempSync(join(tmpdir(), "raworc-"));
    const fixture = await makeFixture(false, dataDirectory);
    try {
      const instanceId = randomUUIDv7();
      const shared = new Layout(dataDirectory, instanceId).shared;
      const begun = () => readdirSync(shared).filter((name) => name.startsWith("standby-"));
      mkdirSync(shared, { recursive: true });
      // Of a server that was killed: no process has such a number.
      writeFileSync(join(shared, "standby-99999999-1.img"), "");
      const driver = await fixture.open(instanceId);
      expect(begun()).toEqual([]);
      // The second one goes on with what was begun after the first.
      for (const text of ["first", "second"]) {
        const spec = specOf();
        await open(driver, spec);
        expect(
          await output(driver, spec.id, `echo ${text} > /session/workspace/file; cat /session/workspace/file`),
        ).toBe(text);
        await driver.remove(spec.id, { volume: true });
        expect(await fixture.traces(spec.id)).toEqual([]);
      }
      await driver.close();
      expect(begun()).toEqual([]);
      expect(mountsOf(join(shared, "standby-"))).toEqual([]);
    } finally {
      await fixture.close();
    }
  });

  it("ends all of a computer whose outer process was killed", async () => {
    const fixture = await makeFixture(false);
    try {
      const driver = await fixture.open(randomUUIDv7());
      const spec = specOf();
      await open(driver, spec);
      const { seen, leave } = noticeOf(driver, spec.id);
      fixture.killMonitor(spec.id);
      await seen;
      leave();
      expect((await driver.observe(spec.id)).status).toBe("stopped");
      await open(driver, spec);
      expect(await output(driver, spec.id, "echo again")).toBe("again");
      // What is frozen dies only when it thaws.
      await driver.freeze(spec.id);
      fixture.killMonitor(spec.id);
      await driver.remove(spec.id, { volume: true });
      expect(await fixture.traces(spec.id)).toEqual([]);
      await driver.close();
    } finally {
      await fixture.close();
    }
  });

  it("keeps host and agents apart for a user with one id, and says what it can't limit", async (test) => {
    const parent = mkdtempSync(join(tmpdir(), "raworc-"));
    chmodSync(parent, 0o777);
    try {
      const script = join(import.meta.dirname, "ordinary-user.ts");
      const { directory, hash } = await ensureHostProgram(parent);
      const asUser = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "--"];
      const before = process.getuid?.() === 0 ? asUser : [];
      const call = (...words: string[]): string => {
        const [program = "", ...rest] = [...before, ...words];
        return execFileSync(program, rest, { cwd: "/", encoding: "utf8", timeout: 120_000 });
      };
      try {
        call("test", "-r", script);
      } catch {
        test.skip("this checkout can't be read by other users");
      }
      const seen: unknown = JSON.parse(call(process.execPath, script, directory, hash, parent));
      expect(seen).toEqual({
        ok: true,
        limits: { cpus: false, memory_mb: false, pids: true, disk_mb: false },
        separateUids: false,
        inside: {
          user: "1000\nCapPrm:0000000000000000\nNoNewPrivs:1\nSeccomp:2",
          processes: "0",
          folders: "",
          logs: "",
          namespaces: "",
          bomb: "",
          kill: "still here",
          kept: "kept",
        },
        reached: {
          state: "forbidden",
          kernel: "forbidden",
          terminal: '1000 1000 reachedexit {"type":"exit","exit_code":3}',
        },
        frozen: "frozen",
        stopped: "stopped",
        again: "kept",
        left: [],
      });
    } finally {
      await rm(parent, { recursive: true, force: true });
    }
  });
});
