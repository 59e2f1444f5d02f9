import { existsSync, readFileSync, statSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "../../../test/support/requirements.ts";
import { TestComputer } from "./test-computer.ts";

/** Leaves its group, its session and its parent, and sheds its environment. */
const RUNAWAYS = "setsid sleep 4711 & (setsid sh -c 'env -i /bin/sleep 4712 & sleep 4713' &) ; sleep 4714";

describeWith(["sandbox"], "commands in a computer", () => {
  let computer: TestComputer;
  beforeAll(async () => {
    computer = await TestComputer.start();
  });
  afterAll(() => computer.close());

  test("give output, exit code and signal", async () => {
    const text = await computer.run("echo out; echo err >&2; exit 3");
    expect(text).toMatchObject({ stdout: "out\n", stderr: "err\n", exit_code: 3, signal: null, timed_out: false });
    expect(await computer.run(["printf", "%s|", "a b", "$c"])).toMatchObject({ stdout: "a b|$c|", exit_code: 0 });
    expect(await computer.run("kill -TERM $$")).toMatchObject({ exit_code: null, signal: "SIGTERM" });
    expect(await computer.run("cat", { stdin: "é\n".repeat(200_000) })).toMatchObject({
      stdout: "é\n".repeat(200_000),
    });
    expect(await computer.run("echo a > /dev/stdout; echo b | tee /dev/stderr")).toMatchObject({
      stdout: "a\nb\n",
      stderr: "b\n",
    });
    expect(await computer.run(["no-such-program"])).toMatchObject({ exit_code: 127 });
    expect((await computer.run("true", { cwd: "/nowhere" })).stderr).toContain("/nowhere");
  });

  test("run as the agent, in its environment, and can't reach what is the host's", async () => {
    const { stdout } = await computer.run('id -u; pwd; echo "$HOME $GIVEN"; env', { env: { GIVEN: "given" } });
    expect(stdout).toMatch(/^1000\n\/session\/workspace\n\/session given\n/);
    expect(stdout).not.toContain("MALLOC_ARENA_MAX");
    const closed = await computer.run("ls /session/state; ls /run/raworc/socket; kill -9 2; touch /session/logs/mine");
    expect(closed.stderr.match(/Permission denied|Operation not permitted|not permitted/g)).toHaveLength(4);
    const folder = "mkdir -m 700 /session/workspace/closed && cd /session/workspace/closed && touch here";
    expect((await computer.run(folder)).exit_code).toBe(0);
    expect((await computer.run("ls", { cwd: "/session/workspace/closed" })).stdout).toBe("here\n");
  });

  test("are ended by the time limit with all that they started", async () => {
    expect(await computer.run(RUNAWAYS, { timeout_s: 0.5 })).toMatchObject({ timed_out: true, signal: "SIGKILL" });
    expect(computer.processes("sleep 471")).toEqual([]);
  });

  test("are ended when the caller leaves, with all that they started", async () => {
    for await (const line of computer.exec(`echo begun; ${RUNAWAYS}`)) {
      expect(line).toMatchObject({ data: "begun\n" });
      break;
    }
    // The host works on it: the next command that it answers may come before the last kill.
    await expect.poll(() => computer.processes("sleep 471"), { timeout: 20_000 }).toEqual([]);
  });

  test("leave in the background what they want to leave there, also when it goes on printing", async () => {
    const started = await computer.run(
      "(while sleep 0.05; do echo tick; echo x >> ticks; test $(wc -l < ticks) -gt 9 && break; done; touch done) & echo $!",
    );
    expect(started).toMatchObject({ exit_code: 0, timed_out: false });
    await expect.poll(() => existsSync(computer.session("workspace/done")), { timeout: 20_000 }).toBe(true);
  });

  test("wait for a slow reader", async () => {
    const command = "head -c 300000000 /dev/zero | tr '\\0' x; echo finished > slow";
    let bytes = 0;
    for await (const line of computer.exec(command)) {
      if (line.type !== "stdout") continue;
      // While nothing is read, the command stands still: its last act can't have happened.
      if (bytes === 0) expect((await computer.run("cat slow")).stdout).toBe("");
      bytes += line.data.length;
    }
    expect(bytes).toBe(300_000_000);
    expect(readFileSync(computer.session("workspace/slow"), "utf8")).toBe("finished\n");
    const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${computer.hostPid}/status`, "utf8"))?.[1]);
    expect(peak).toBeLessThan(160 * 1024);
  });

  test("leave no zombies", async () => {
    for (let index = 0; index < 5; index += 1) await computer.run("sleep 0 & sleep 0 & true");
    const zombies = async () => (await computer.run("grep -l '^State:.Z' /proc/[0-9]*/status; true")).stdout;
    await expect.poll(zombies).toBe("");
  });

  test("the volume's folders belong to whom they should", () => {
    const modes = Object.fromEntries(
      ["state", "logs", "agents", "workspace", "cache", "tmp"].map((name) => {
        const { mode, uid } = statSync(computer.session(name));
        return [name, `${uid === 0 ? "host" : "agent"} ${(mode & 0o7777).toString(8)}`];
      }),
    );
    expect(modes).toEqual({
      state: "host 700",
      logs: "host 755",
      agents: "host 755",
      workspace: "agent 755",
      cache: "agent 755",
      tmp: "agent 1777",
    });
  });
});
