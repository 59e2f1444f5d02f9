import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
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

/** bubblewrap with an overlay and namespaces, and a Node that does nothing. Milliseconds. */
export async function sandboxFloor(): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "raworc-bench-"));
  const script = [
    `mkdir -p ${folder}/upper ${folder}/work ${folder}/root`,
    `mount -t overlay overlay -o lowerdir=/usr,upperdir=${folder}/upper,workdir=${folder}/work ${folder}/root`,
    `exec bwrap --unshare-all --bind ${folder}/root /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 ` +
      `--ro-bind ${process.execPath} /node --proc /proc --dev /dev --tmpfs /tmp /node -e 0`,
  ].join(" && ");
  const run = async () => {
    const child = spawn("unshare", ["--mount", "sh", "-c", script], { stdio: "ignore" });
    const [code] = await once(child, "close");
    if (code !== 0) throw new Error(`The floor of the sandbox ended with ${code}`);
  };
  const times = await measure(10, run);
  await rm(folder, { recursive: true, force: true });
  return figuresOf(times).p50;
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
