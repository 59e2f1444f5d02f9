import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { EgressProxy } from "../../packages/server/src/runtime/egress.ts";
import { ensureHostProgram } from "../../packages/server/src/runtime/host-program.ts";
import { Layout } from "../../packages/server/src/runtime/sandbox/layout.ts";
import { createSandboxDriver } from "../../packages/server/src/runtime/sandbox/sandbox-driver.ts";
import { describeWith, has } from "../support/requirements.ts";
import { type DriverFixture, driverSuite } from "./driver-suite.ts";

const IMAGE = "raworc_session:dev";
const log = pino({ level: process.env["RAWORC_TEST_LOG"] ?? "silent" });

/** `image`: computers start from an unpacked session image instead of the machine's own files. */
async function makeFixture(image: boolean): Promise<DriverFixture> {
  const dataDirectory = mkdtempSync(join(tmpdir(), "raworc-"));
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
        log,
        ...(rootDirectory !== undefined && { rootDirectory }),
      });
    },
    async kill(id) {
      process.kill(recordOf(id).init.pid, "SIGKILL");
    },
    async traces(id) {
      return [...foldersOf(dataDirectory, id), ...groupsOf(id), ...mountsOf(id), ...processesOf(dataDirectory, id)];
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

function groupsOf(id: string): string[] {
  const script = `find /sys/fs/cgroup -type d -name '*${id}*'`;
  return execFileSync("sh", ["-c", script], { encoding: "utf8" }).split("\n").filter(Boolean);
}

function removeGroups(label: string): void {
  execFileSync("find", [
    "/sys/fs/cgroup",
    "-depth",
    "-type",
    "d",
    "-name",
    `raworc_${label}`,
    "-exec",
    "rmdir",
    "{}",
    "+",
  ]);
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

describeWith(["sandbox"], "sandbox conformance", () => {
  driverSuite("sandbox", () => makeFixture(false));
  if (has("docker")) driverSuite("sandbox from an unpacked image", () => makeFixture(true));
});
