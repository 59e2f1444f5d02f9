import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { figuresOf, measure } from "./figures.ts";

/** A plain process: what any command costs at least. Milliseconds. */
export async function spawnFloor(): Promise<number> {
  const run = async () => {
    const child = spawn("sh", ["-c", "echo ok"], { stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.resume();
    await once(child, "close");
  };
  return figuresOf(await measure(100, run)).p50;
}

/** One durable commit of SQLite. Milliseconds. */
export async function commitFloor(): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "raworc-bench-"));
  const database = new DatabaseSync(join(folder, "floor.db"));
  database.exec("pragma journal_mode = wal; pragma synchronous = full; create table t (a integer, b text)");
  const insert = database.prepare("insert into t values (?, ?)");
  const times = await measure(200, async (run) => insert.run(run, "x".repeat(200)));
  database.close();
  await rm(folder, { recursive: true });
  return figuresOf(times).p50;
}

/** The engine's own create and start of an image, without a host to wait for. Milliseconds. */
export async function engineFloor(image: string, count: number): Promise<number> {
  const names: string[] = [];
  const times = await measure(
    count,
    async (run) => {
      const name = `raworc_bench_${process.pid}_${run + 10}`;
      names.push(name);
      const body = { Image: image, Entrypoint: ["sleep", "60"], HostConfig: { AutoRemove: true } };
      await engine("POST", `/containers/create?name=${name}`, body);
      await engine("POST", `/containers/${name}/start`);
    },
    1,
  );
  for (const name of names) await engine("DELETE", `/containers/${name}?force=true`);
  return figuresOf(times).p50;
}

/** Pause and unpause of a running container. Milliseconds of the latter. */
export async function unpauseFloor(image: string): Promise<number> {
  const name = `raworc_bench_${process.pid}_pause`;
  const body = { Image: image, Entrypoint: ["sleep", "60"], HostConfig: { AutoRemove: true } };
  await engine("POST", `/containers/create?name=${name}`, body);
  await engine("POST", `/containers/${name}/start`);
  const times: number[] = [];
  for (let run = 0; run < 10; run += 1) {
    // The engine hears of the thaw before a while after it, and takes it for one of the next freeze.
    await new Promise((resolve) => setTimeout(resolve, 100));
    await engine("POST", `/containers/${name}/pause`);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const start = performance.now();
    await engine("POST", `/containers/${name}/unpause`);
    times.push(performance.now() - start);
  }
  await engine("DELETE", `/containers/${name}?force=true`);
  return figuresOf(times).p50;
}

/** The engine's own create and start, so many at once. Milliseconds until the last has started. */
export async function engineBurstFloor(image: string, count: number): Promise<number> {
  const names = Array.from({ length: count }, (_, index) => `raworc_bench_${process.pid}_burst_${index}`);
  const start = performance.now();
  try {
    await Promise.all(
      names.map(async (name) => {
        await engine("POST", `/containers/create?name=${name}`, { Image: image, Entrypoint: ["sleep", "600"] });
        await engine("POST", `/containers/${name}/start`);
      }),
    );
    return performance.now() - start;
  } finally {
    await Promise.all(names.map((name) => engine("DELETE", `/containers/${name}?force=true`)));
  }
}

const MIB = 1024 * 1024;
/** Limits as a session has them, by the control groups of either version. `$1` is the group's name. */
const LIMITS = `limit() { mkdir "$1" && shift && for setting; do echo "\${setting#*=}" >"$group/\${setting%%=*}"; done; echo $$ >"$group/cgroup.procs"; }
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  group=/sys/fs/cgroup/$1; limit "$group" memory.max=${1024 * MIB} "cpu.max=100000 100000" pids.max=256
else
  group=/sys/fs/cgroup/memory/$1; limit "$group" memory.limit_in_bytes=${1024 * MIB}
  group=/sys/fs/cgroup/cpu/$1; limit "$group" cpu.cfs_period_us=100000 cpu.cfs_quota_us=100000
  group=/sys/fs/cgroup/pids/$1; limit "$group" pids.max=256
  group=/sys/fs/cgroup/freezer/$1; limit "$group"
fi`;

/**
 * bubblewrap with an overlay, namespaces and a session's limits (control groups, and a disk of its own size that was formatted
 * before), and a Node that does nothing. Milliseconds; of so many at once, until the last has ended.
 */
export async function sandboxFloor(atOnce = 1): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "raworc-bench-"));
  const groups: string[] = [];
  const run = async (name: string) => {
    const group = `raworc_bench_${process.pid}_${name}`;
    groups.push(group);
    const place = join(folder, name);
    const script = [
      "set -e",
      LIMITS,
      `mount -t ext4 -o loop ${place}.img ${place}`,
      `mkdir ${place}/upper ${place}/work ${place}/root`,
      `mount -t overlay overlay -o lowerdir=/usr,upperdir=${place}/upper,workdir=${place}/work ${place}/root`,
      `exec bwrap --unshare-all --bind ${place}/root /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 ` +
        `--ro-bind ${process.execPath} /node --proc /proc --dev /dev --tmpfs /tmp /node -e 0`,
    ].join("\n");
    const child = spawn("unshare", ["--mount", "sh", "-c", script, "sh", group], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    const [code] = await once(child, "close");
    if (code !== 0) throw new Error(`The floor of the sandbox ended with ${code}`);
  };
  const prepare = async (name: string) => {
    await mkdir(join(folder, name));
    await promisify(execFile)("cp", ["--sparse=always", join(folder, "empty"), join(folder, `${name}.img`)]);
  };
  try {
    await promisify(execFile)("mkfs.ext4", ["-q", "-F", join(folder, "empty"), "1G"]);
    if (atOnce === 1) {
      const times: number[] = [];
      for (let count = 0; count < 12; count += 1) {
        await prepare(`run${count}`);
        times.push(...(await measure(1, () => run(`run${count}`), 0)));
      }
      return figuresOf(times.slice(2)).p50;
    }
    const names = Array.from({ length: atOnce }, (_, index) => `run${index}`);
    await Promise.all(names.map(prepare));
    const [time = Number.NaN] = await measure(1, () => Promise.all(names.map(run)), 0);
    return time;
  } finally {
    for (const group of groups) {
      await promisify(execFile)("sh", [
        "-c",
        `rmdir /sys/fs/cgroup/${group} /sys/fs/cgroup/*/${group} 2>/dev/null || true`,
      ]);
    }
    await rm(folder, { recursive: true, force: true });
  }
}

function engine(method: string, path: string, body?: object): Promise<void> {
  return new Promise((resolve, reject) => {
    const payload = body === undefined ? "" : JSON.stringify(body);
    const call = request({
      socketPath: "/var/run/docker.sock",
      method,
      path: `/v1.41${path}`,
      headers: { "content-type": "application/json", "content-length": Buffer.byteLength(payload) },
    });
    call.on("response", (answer) => {
      answer.resume();
      answer.on("end", () => {
        const status = answer.statusCode ?? 0;
        if (status < 400 || (method === "DELETE" && status === 404)) resolve();
        else reject(new Error(`The engine answered ${method} ${path} with ${status}`));
      });
    });
    call.on("error", reject);
    call.end(payload);
  });
}
