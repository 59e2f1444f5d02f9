import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { Session } from "@raworc/contract";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "../support/requirements.ts";

const RAWORC = new URL("../../packages/cli/bin/raworc.js", import.meta.url).pathname;

describeWith(["sandbox"], "the components of a control plane by the command line", () => {
  let home = "";

  async function raworc(...words: string[]) {
    const env = {
      PATH: process.env["PATH"] ?? "/usr/bin:/bin",
      HOME: process.env["HOME"] ?? "/root",
      RAWORC_HOME: home,
    };
    const child = spawn(process.execPath, [RAWORC, ...words], { env, stdio: ["ignore", "pipe", "pipe"] });
    const closed = once(child, "close") as Promise<[number | null]>;
    const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
    return { code, out, err };
  }

  const pidIn = async (file: string): Promise<number> =>
    (JSON.parse(await readFile(join(home, file), "utf8")) as { pid: number }).pid;

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), "raworc-e-"));
  });

  afterAll(async () => {
    const ended = await raworc("reset", "--yes");
    await rm(home, { recursive: true, force: true });
    expect(ended.code, ended.err).toBe(0);
  });

  test("run as processes of their own, each once, and are one again when asked", async () => {
    const server = await raworc("start", "server", "--port", "0", "--runtime", "sandbox");
    expect(server.code, server.err).toBe(0);
    expect(server.err).toContain("raworc start operator");
    const lonely = await raworc("status");
    expect(lonely.code).toBe(1);
    expect(lonely.out).toContain("operator down");

    // It takes what the server was started with.
    const operator = await raworc("start", "operator");
    expect(operator.code, operator.err).toBe(0);
    expect(operator.out).toContain("The operator runs (pid");
    expect(operator.out).toContain("Runtime: sandbox");
    const [serverPid, operatorPid] = [await pidIn("server.json"), await pidIn("operator.json")];
    expect(operatorPid).not.toBe(serverPid);
    expect((await raworc("status")).out).toMatch(new RegExp(`Operator +a process of its own \\(pid ${operatorPid}`));

    const session = await raworc("create", "session", "--wait", "ready", "-o", "json");
    expect(session.code, session.err).toBe(0);
    const { id, state } = JSON.parse(session.out) as Session;
    expect(state).toBe("idle");
    expect((await raworc("exec", id, "echo", "done")).out).toBe("done\n");
    expect((await raworc("logs", "operator", "-n", "1000")).out).toContain("runtime chosen");

    const again = await raworc("start");
    expect(again.out).toContain("already running at");
    expect(again.out).toContain("operator is already running");
    expect([await pidIn("server.json"), await pidIn("operator.json")]).toEqual([serverPid, operatorPid]);

    expect((await raworc("restart")).code).toBe(0);
    expect(await pidIn("operator.json")).not.toBe(operatorPid);
    expect((await raworc("exec", id, "echo", "still there")).out).toBe("still there\n");

    const stopped = await raworc("stop");
    expect(stopped.out).toContain("Raworc has stopped");
    expect(stopped.out).toContain("The operator has stopped");
    const whole = await raworc("start", "--port", "0", "--runtime", "sandbox");
    expect(whole.code, whole.err).toBe(0);
    expect(whole.err).toBe("");
    await expect(pidIn("operator.json")).rejects.toThrow();
    expect((await raworc("exec", id, "echo", "here too")).out).toBe("here too\n");
  });
});
