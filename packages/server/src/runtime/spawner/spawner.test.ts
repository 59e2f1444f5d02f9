import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { SpawnedProgram } from "./spawned-program.ts";
import { Spawner } from "./spawner.ts";

const environment = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };
const spawner = new Spawner();
let folder: string;
let log: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "raworc-spawner-"));
  log = join(folder, "log");
});
afterEach(async () => {
  await spawner.close();
  await rm(log, { force: true });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const start = (script: string, words: readonly [string, ...string[]] = ["sh", "-c", script]): SpawnedProgram =>
  spawner.start({ words, environment, told: 3, heard: [4, 5], log });

/** The next text that is told; undefined when nothing more is. */
const nextTold = (program: SpawnedProgram) =>
  new Promise<string | undefined>((resolve) => {
    program.onTold = resolve;
  });

const parentOf = (pid: number | undefined) =>
  Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);

/** Resolves when the process is gone. */
async function gone(pid: number): Promise<void> {
  while (existsSync(`/proc/${pid}`)) await new Promise(setImmediate);
}

describe("the spawner", () => {
  it("talks with a program until that is left alone", async () => {
    const program = start("echo one >&3; read -r word <&4; echo $word >&3; echo said; read -r word <&5 || exit 7");
    expect(await nextTold(program)).toBe("one\n");
    program.say(4, "two\n");
    expect(await nextTold(program)).toBe("two\n");
    program.hush();
    expect(await program.ended).toBe(7);
    expect(await readFile(log, "utf8")).toBe("said\n");
  });

  it("gives programs nothing of this process's environment, and kills them when it is told", async () => {
    await start("env").ended;
    expect(await readFile(log, "utf8")).toContain("PATH=/usr/sbin:");
    expect(await readFile(log, "utf8")).not.toContain("VITEST");
    const program = start("exec sleep 600");
    expect(await program.pid).toBeGreaterThan(1);
    program.kill();
    expect(await program.ended).toBe(null);
  });

  it("tells of a program that can't be started", async () => {
    const program = start("", ["/no/such/program"]);
    expect(await program.pid).toBe(undefined);
    expect(await program.ended).toBe(null);
  });

  it("leaves alone what was let go, and ends with those who wait when it is closed", async () => {
    const free = start("exec 3>&- 4<&- 5<&-; exec sleep 600");
    const silent = nextTold(free);
    const bound = start("read -r word <&4 || exit 125");
    const [freePid = 0, boundPid = 0] = [await free.pid, await bound.pid];
    expect(await silent).toBe(undefined);
    await spawner.close();
    await gone(boundPid);
    expect(existsSync(`/proc/${freePid}`)).toBe(true);
    expect(await free.ended).toBe(null);
    process.kill(freePid, "SIGKILL");
  });

  it("is started anew when it was killed, and tells of what it lost", async () => {
    const program = start("read -r word <&4 || exit 125");
    const pid = (await program.pid) ?? 0;
    const own = parentOf(pid);
    expect(own).not.toBe(process.pid);
    process.kill(own, "SIGKILL");
    expect(await program.ended).toBe(null);
    await gone(pid);
    expect(await start("exit 3").ended).toBe(3);
  });
});
