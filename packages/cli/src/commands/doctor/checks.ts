import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { stat, statfs } from "node:fs/promises";
import { request } from "node:http";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { DEFAULT_PORT, Health } from "@raworc/contract";
import { type Context, normalizeServer } from "../../context.ts";

export interface Finding {
  readonly name: string;
  /** `note` is no fault but worth knowing. */
  readonly state: "ok" | "note" | "bad";
  readonly text: string;
  readonly remedy?: string;
}

const run = promisify(execFile);
const DISK_LOW_BYTES = 5 * 1024 ** 3;
const PROGRAM_MS = 20_000;
const ENGINE_MS = 5000;

export async function checkNode(): Promise<Finding> {
  return { name: "Node.js", state: "ok", text: `${process.versions.node} at ${process.execPath}` };
}

export async function checkGit(): Promise<Finding> {
  try {
    const { stdout } = await run("git", ["--version"], { timeout: PROGRAM_MS });
    return { name: "git", state: "ok", text: stdout.trim().replace(/^git version /, "") };
  } catch {
    return {
      name: "git",
      state: "bad",
      text: "not found: agents come from git",
      remedy: "install it, for example: apt-get install git",
    };
  }
}

export async function checkBubblewrap(): Promise<Finding> {
  const name = "bubblewrap";
  let version: string;
  try {
    version = (await run("bwrap", ["--version"], { timeout: PROGRAM_MS })).stdout.trim().replace(/^bubblewrap /, "");
  } catch {
    return {
      name,
      state: "note",
      text: "not found: the runtime sandbox needs it",
      remedy: "install it, for example: apt-get install bubblewrap",
    };
  }
  try {
    await run("bwrap", ["--unshare-all", "--ro-bind", "/", "/", "true"], { timeout: PROGRAM_MS });
    return { name, state: "ok", text: `${version}, makes namespaces` };
  } catch (error) {
    const reason = error instanceof Error && "stderr" in error ? String(error.stderr).trim().split("\n").at(-1) : "";
    return {
      name,
      state: "note",
      text: `${version}, but it can't make namespaces${reason === "" ? "" : `: ${reason}`}`,
      remedy:
        "allow user namespaces; on Ubuntu 24.04 and newer: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    };
  }
}

interface EngineAnswer {
  readonly status: number;
  readonly body: string;
}

function askEngine(socketPath: string, path: string): Promise<EngineAnswer> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path, timeout: ENGINE_MS }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8") }));
      answer.on("error", reject);
    });
    call.on("timeout", () => call.destroy(new Error("no answer in time")));
    call.on("error", reject);
    call.end();
  });
}

export async function checkDocker(context: Context): Promise<Finding> {
  const name = "Docker";
  const socket = context.config.engineSocket;
  if (socket === null)
    return {
      name,
      state: "note",
      text: "DOCKER_HOST names no socket",
      remedy: "set DOCKER_HOST to unix:///path/to/docker.sock",
    };
  try {
    const { Version: version } = JSON.parse((await askEngine(socket, "/version")).body) as { Version?: string };
    const image = context.config.environment["RAWORC_SESSION_IMAGE"] ?? "raworc_session:dev";
    const found = await askEngine(socket, `/images/${image}/json`);
    if (found.status === 200)
      return { name, state: "ok", text: `engine ${version} answers, with the session image ${image}` };
    return {
      name,
      state: "note",
      text: `engine ${version} answers, the session image ${image} is not there yet`,
      remedy: "make it: ./scripts/build.sh",
    };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    const isForbidden = code === "EACCES" || code === "EPERM";
    return {
      name,
      state: "note",
      text: isForbidden ? `you may not use ${socket}` : `no engine answers at ${socket}: the runtime docker needs one`,
      remedy: isForbidden
        ? "add yourself to its group: usermod -aG docker $USER"
        : "start it, for example: systemctl start docker",
    };
  }
}

export async function checkServer(context: Context): Promise<Finding> {
  const { client, server } = await context.connect();
  try {
    const health = Health.parse(await (await client.raw("health")).json());
    const down = Object.entries(health.checks).flatMap(([part, state]) => (state === "ok" ? [] : [part]));
    if (down.length === 0)
      return { name: "Server", state: "ok", text: `well, at ${server} (database, operator, runtime)` };
    return {
      name: "Server",
      state: "bad",
      text: `answers at ${server}, but down: ${down.join(", ")}`,
      remedy: "see: raworc logs server",
    };
  } catch {
    const running = await context.localServer.running();
    if (running === undefined)
      return { name: "Server", state: "note", text: `not running at ${server}`, remedy: "start it: raworc start" };
    return {
      name: "Server",
      state: "bad",
      text: `process ${running.pid} runs, but does not answer`,
      remedy: "see: raworc logs server; then: raworc restart",
    };
  }
}

export async function checkPort(context: Context): Promise<Finding> {
  const { environment } = context.config;
  const running = (await context.localServer.running())?.url ?? (await context.containers.running())?.url ?? undefined;
  const port = Number(running === undefined ? environment["RAWORC_PORT"] || DEFAULT_PORT : new URL(running).port);
  const host = environment["RAWORC_HOST"] || "127.0.0.1";
  if (running !== undefined)
    return { name: "Port", state: "ok", text: `${port} is this server's (${normalizeServer(running)})` };
  const reason = await new Promise<string | undefined>((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen(port, host, () => server.close(() => resolve(undefined)));
  });
  if (reason === undefined) return { name: "Port", state: "ok", text: `${port} on ${host} is free` };
  if (reason === "EADDRINUSE") {
    return {
      name: "Port",
      state: "bad",
      text: `${port} on ${host} is taken by another program`,
      remedy: "take another: raworc start --port 9001",
    };
  }
  return {
    name: "Port",
    state: "bad",
    text: `${port} on ${host} can't be used (${reason})`,
    remedy: "choose others: raworc start --host … --port …",
  };
}

export async function checkDisk(context: Context): Promise<Finding> {
  const folder = await nearestFolder(dataDirectory(context));
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const text = `${(free / 1024 ** 3).toFixed(1)} GiB free at ${folder}`;
  if (free > DISK_LOW_BYTES) return { name: "Disk", state: "ok", text };
  return {
    name: "Disk",
    state: "bad",
    text,
    remedy: "make room: sessions may write 5 GiB each; raworc cleanup deletes them",
  };
}

export async function checkHome(context: Context): Promise<Finding> {
  const name = "Data";
  const data = dataDirectory(context);
  const folder = await nearestFolder(data);
  try {
    accessSync(folder, constants.W_OK);
  } catch {
    return {
      name,
      state: "bad",
      text: `${folder} can't be written`,
      remedy: "set RAWORC_HOME to a folder that you may write",
    };
  }
  if (folder !== data) return { name, state: "ok", text: `${data} is made at the first start` };
  const { mode, uid } = await stat(data);
  if (uid !== process.getuid?.())
    return { name, state: "bad", text: `${data} belongs to another user`, remedy: `chown it, or set RAWORC_HOME` };
  if ((mode & 0o077) !== 0)
    return {
      name,
      state: "bad",
      text: `${data} can be read by others, and the keys are in it`,
      remedy: `chmod 700 ${data}`,
    };
  return { name, state: "ok", text: `${data}, yours alone` };
}

export async function checkCertificates(context: Context): Promise<Finding> {
  const name = "Certificates";
  const file = context.config.environment["SSL_CERT_FILE"];
  if (file === undefined || file === "") {
    return { name, state: "ok", text: "SSL_CERT_FILE is not set: builds trust the usual authorities" };
  }
  try {
    accessSync(file, constants.R_OK);
    return { name, state: "ok", text: `builds and sessions are given ${file}` };
  } catch {
    return {
      name,
      state: "bad",
      text: `SSL_CERT_FILE names ${file}, which can't be read`,
      remedy: "correct it, or leave it out",
    };
  }
}

export async function checkLogin(context: Context): Promise<Finding> {
  const name = "Login";
  const { client, login, server } = await context.connect();
  if (login === undefined)
    return { name, state: "note", text: `nobody is logged in to ${server}`, remedy: "log in: raworc auth login" };
  return client.call("auth.me").then(
    ({ user, roles }): Finding => ({ name, state: "ok", text: `${user} (${roles.join(", ") || "no roles"})` }),
    (error: unknown): Finding => ({
      name,
      state: "note",
      text: error instanceof Error ? error.message : String(error),
      remedy: "log in: raworc auth login",
    }),
  );
}

function dataDirectory(context: Context): string {
  return context.config.environment["RAWORC_DATA_DIR"] || join(context.config.home, "data");
}

async function nearestFolder(path: string): Promise<string> {
  for (let folder = path; ; folder = dirname(folder)) {
    if (folder === dirname(folder) || (await stat(folder).catch(() => undefined))?.isDirectory() === true)
      return folder;
  }
}
