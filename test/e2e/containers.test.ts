import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { Session } from "@raworc/contract";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "../support/requirements.ts";

const RAWORC = new URL("../../packages/cli/bin/raworc.js", import.meta.url).pathname;
const DATABASE = new URL("../support/mariadb-image", import.meta.url).pathname;
const DATABASE_IMAGE = "raworc_test_mariadb:e2e";
const NAMES = ["raworc_mysql", "raworc_operator", "raworc_server"];

const docker = (...words: string[]): string =>
  execFileSync("docker", words, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();

describeWith(["docker"], "a control plane in containers by the command line", () => {
  let home = "";

  async function raworc(words: readonly string[], more: Readonly<Record<string, string>> = {}, input = "") {
    const env = {
      PATH: process.env["PATH"] ?? "/usr/bin:/bin",
      HOME: process.env["HOME"] ?? "/root",
      RAWORC_HOME: home,
      RAWORC_ALLOW_LOCAL_SOURCES: "true",
      RAWORC_DATABASE_IMAGE: DATABASE_IMAGE,
      ...more,
    };
    const child = spawn(process.execPath, [RAWORC, ...words], { env, stdio: "pipe" });
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
    const closed = once(child, "close") as Promise<[number | null]>;
    const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
    return { code, out, err };
  }

  async function good(words: readonly string[], input = ""): Promise<string> {
    const { code, err, out } = await raworc(words, {}, input);
    expect(code, `${words.join(" ")}: ${err}${out}`).toBe(0);
    return out;
  }

  const running = () =>
    docker("ps", "--format", "{{.Names}}")
      .split("\n")
      .filter((name) => NAMES.includes(name))
      .toSorted();

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), "raworc-e-"));
    docker("build", "--quiet", "--network", "host", "--tag", DATABASE_IMAGE, DATABASE);
  });

  afterAll(async () => {
    const ended = await raworc(["reset", "--yes"]);
    await rm(home, { recursive: true, force: true });
    docker("rmi", DATABASE_IMAGE);
    expect(ended.code, ended.err).toBe(0);
  });

  test("start says what it needs", async () => {
    expect(await raworc(["start", "server", "--docker"])).toMatchObject({ code: 2 });
    const noImage = await raworc(["start", "--docker"], { RAWORC_DATABASE_IMAGE: "127.0.0.1:1/none:1" });
    expect(noImage).toMatchObject({ code: 1, err: expect.stringContaining("RAWORC_DATABASE_IMAGE") });
    const noEngine = await raworc(["start", "--docker"], { DOCKER_HOST: `unix://${home}/none.sock` });
    expect(noEngine).toMatchObject({ code: 1, err: expect.stringContaining("No Docker engine answers") });
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as { port: number };
    const taken = await raworc(["start", "--docker", "--port", String(port)]);
    other.close();
    expect(taken.code).toBe(1);
    expect(taken.err).toMatch(/port is in use/i);
    expect(running()).toEqual([]);
  });

  test("sessions answer, live through a stop, and are gone after a reset", async () => {
    expect(await good(["start", "--docker", "--port", "0"])).toMatch(
      /runs at http:\/\/127\.0\.0\.1:\d+ \(in containers/,
    );
    expect(running()).toEqual(NAMES);
    expect(await good(["start", "--docker"])).toContain("already running");
    expect((await raworc(["start"])).err).toContain("raworc stop");
    expect(await good(["status"])).toContain("in containers");

    // What the containers see of this machine is the home's folder `docker`.
    const repository = join(home, "docker", "talker");
    await mkdir(repository);
    execFileSync("git", ["init", "-q", repository]);
    await writeFile(join(repository, "package.json"), '{"name": "talker", "version": "1.0.0"}\n');
    await writeFile(join(repository, "index.js"), 'exports.processMessage = (message) => "You said: " + message;\n');
    const git = ["-C", repository, "-c", "user.name=t", "-c", "user.email=t@localhost"];
    execFileSync("git", [...git, "add", "."]);
    execFileSync("git", [...git, "commit", "-qm", "An agent"]);
    await good(["create", "agent", "talker", "--source-repo", repository]);
    await good(["build", "--wait"]);
    const { id } = JSON.parse(await good(["create", "session", "--wait", "ready", "-o", "json"])) as Session;
    const say = (words: string) => good(["session", "--resume", id, "--keep"], `${words}\n`);
    expect(await say("hello")).toContain("You said: hello");
    await good(["exec", id, "sh", "-c", "echo kept > note"]);
    // The operator mounts disks of their own size, which the engine sees.
    expect(await good(["exec", id, "df", "--output=size", "-BG", "/session"])).toMatch(/\b5G/);
    // It can have the kernel take the memory of a computer that stands still.
    const pid = docker("inspect", "--format", "{{.State.Pid}}", `raworc_session_${id}`);
    const group = docker(
      "exec",
      "raworc_operator",
      "sed",
      "-n",
      "s/^[0-9]*:memory://p; s/^0:://p",
      `/proc/${pid}/cgroup`,
    );
    const files = ["memory.force_empty", "memory.reclaim"].flatMap((file) =>
      group
        .split("\n")
        .map((path) => `[ -w /sys/fs/cgroup/memory${path}/${file} -o -w /sys/fs/cgroup${path}/${file} ]`),
    );
    docker("exec", "raworc_operator", "sh", "-c", files.join(" || "));
    expect(await good(["logs", "operator"])).toContain('"msg":"ready"');
    expect(await good(["audit", "verify"])).not.toBe("");

    const password = (await readFile(join(home, "containers", "database-password"), "utf8")).trim();
    expect((await stat(join(home, "containers", "settings"))).mode & 0o777).toBe(0o600);
    expect(password.length).toBeGreaterThan(20);
    expect(docker("inspect", ...NAMES)).not.toContain(password);

    docker("kill", "--signal", "KILL", "raworc_operator");
    expect((await raworc(["exec", id, "true"])).err).toContain("raworc start --docker");
    await good(["start", "--docker"]);
    expect(await good(["exec", id, "cat", "note"])).toBe("kept\n");

    await good(["stop"]);
    expect(running()).toEqual([]);
    expect(docker("ps", "--format", "{{.Names}}")).toContain(`raworc_session_${id}`);
    await good(["restart"]);
    expect(running()).toEqual(NAMES);
    expect(await say("again")).toContain("You said: again");
    expect(await good(["exec", id, "cat", "note"])).toBe("kept\n");

    await good(["stop", "--cleanup"]);
    expect(docker("ps", "--all", "--format", "{{.Names}}")).not.toContain(`raworc_session_${id}`);
    await good(["reset", "--yes"]);
    expect(
      docker("ps", "--all", "--format", "{{.Names}}")
        .split("\n")
        .filter((name) => NAMES.includes(name)),
    ).toEqual([]);
    expect(docker("volume", "ls", "--quiet")).not.toMatch(new RegExp(`raworc_mysql_data|${id}`));
    expect(await readFile("/proc/self/mountinfo", "utf8")).not.toContain(home);
    await expect(stat(join(home, "docker"))).rejects.toMatchObject({ code: "ENOENT" });
  });
});
