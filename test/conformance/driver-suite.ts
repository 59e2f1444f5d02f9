import { randomUUIDv7 } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { COMPUTER } from "@raworc/contract";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RuntimeDriver } from "../../packages/server/src/runtime/driver.ts";
import { HostConnection } from "../../packages/server/src/runtime/host-connection.ts";
import { skipWithout } from "../support/requirements.ts";
import { openSwap } from "../support/swap.ts";
import { buildsSuite } from "./builds-suite.ts";
import { claim, noticeOf, open, output, run, specOf } from "./computer-calls.ts";
import { limitsSuite } from "./limits-suite.ts";
import { networkSuite } from "./network-suite.ts";
import type { SuiteComputers } from "./suite-computers.ts";

/** The machine's side of a driver under test. All drivers of a fixture share the data directory. */
export interface DriverFixture {
  /** An egress proxy of the fixture treats `localhost` as the host of a mirror. */
  open(instanceId: string): Promise<RuntimeDriver>;
  /** Kills process 1 of a computer from outside. */
  kill(id: string): Promise<void>;
  /** Folder of the control group that counts a computer's memory. */
  memoryGroup(id: string): Promise<string | undefined>;
  /** What is left on the machine of a computer: processes, mounts, control groups, folders, containers, volumes. */
  traces(id: string): Promise<readonly string[]>;
  close(): Promise<void>;
}

const READ_ONLY = ["/usr", "/etc", "/bin/sh", COMPUTER.program, COMPUTER.artifacts];
const ATTACKED = [
  "/run/raworc",
  COMPUTER.socketDirectory,
  `${COMPUTER.socketDirectory}/${COMPUTER.hostSocket}`,
  COMPUTER.state,
];

/** What every driver promises, tried from inside and outside of real computers. */
export function driverSuite(name: string, makeFixture: () => Promise<DriverFixture>): void {
  describe(`${name} driver`, () => {
    const instanceId = randomUUIDv7();
    const made = new Set<string>();
    let fixture: DriverFixture;
    let driver: RuntimeDriver;
    /** A computer that the tests share which only look at it. */
    let shared: string;

    const started = (given: Parameters<typeof specOf>[0] = {}): Promise<string> => {
      const spec = specOf(given);
      made.add(spec.id);
      return open(driver, spec);
    };
    const remove = (id: string): Promise<void> => driver.remove(id, { volume: true });
    const inside = (command: string | string[], id = shared): Promise<string> => output(driver, id, command);
    const computers: SuiteComputers = {
      get driver() {
        return driver;
      },
      get shared() {
        return shared;
      },
      started,
      remove,
      inside,
      traces: (id) => fixture.traces(id),
    };

    beforeAll(async () => {
      fixture = await makeFixture();
      driver = await fixture.open(instanceId);
      shared = await started();
    });

    afterAll(async () => {
      for (const id of made) await remove(id);
      await driver?.close();
      await fixture?.close();
    });

    it("says that it can work", async () => {
      const check = await driver.check();
      expect(check.ok, check.detail).toBe(true);
    });

    it("runs commands as uid 1000 without capabilities", async () => {
      const status = await inside("cat /proc/self/status");
      expect(await inside("id -u; id -g; id -G")).toBe("1000\n1000\n1000");
      expect(status).toMatch(/^CapEff:\t0+$/m);
      expect(status).toMatch(/^CapPrm:\t0+$/m);
      expect(status).toMatch(/^CapInh:\t0+$/m);
      expect(status).toMatch(/^CapAmb:\t0+$/m);
      expect(status).toMatch(/^NoNewPrivs:\t1$/m);
      expect(status).toMatch(/^Seccomp:\t2$/m);
    });

    it("leaves the host no more capabilities than it needs", async () => {
      const status = await inside("cat /proc/$(pgrep -o node || echo 1)/status");
      // CAP_KILL, CAP_SETGID, CAP_SETUID.
      expect(status).toMatch(/^CapPrm:\t00000000000000e0$/m);
      expect(status).toMatch(/^CapBnd:\t00000000000000e0$/m);
    });

    it("gives the host a root of its own that is not the machine's", async () => {
      const map = (await inside("cat /proc/1/uid_map")).split("\n").map((line) => line.trim().split(/\s+/).map(Number));
      const outer = map.find(([first]) => first === 0)?.[1];
      // Where there is no user namespace the map is the machine's own, whole.
      expect(outer === 0 ? map[0]?.[2] : "mapped").toBe(outer === 0 ? 4294967295 : "mapped");
      if (driver.name === "sandbox") expect(outer).toBeGreaterThan(999);
    });

    it("hides the host's socket, journal, memory and environment from agents", async () => {
      for (const path of ATTACKED) {
        const { exitCode } = await run(driver, shared, `cat ${path} || ls ${path}`);
        expect(exitCode, path).not.toBe(0);
      }
      const { stdout, stderr } = await run(
        driver,
        shared,
        "for process in /proc/[0-9]*; do [ $process = /proc/self ] || [ $process = /proc/$$ ] || " +
          '[ "$(stat -c %u $process 2>/dev/null)" = 1000 ] || cat $process/environ $process/mem $process/maps; done',
      );
      expect(stdout).toBe("");
      expect(stderr).toMatch(/denied|permitted/);
    });

    it("keeps agents from killing the host or taking the journal's place", async () => {
      await run(
        driver,
        shared,
        `kill -KILL -1; kill -KILL 1; mv ${COMPUTER.state} /session/old; rm -rf ${COMPUTER.state}`,
      );
      await run(driver, shared, "for process in $(ls /proc | grep '^[0-9]'); do kill -KILL $process; done");
      expect(await inside("echo still here")).toBe("still here");
      expect((await driver.observe(shared)).status).toBe("running");
      expect(await inside(`stat -c %u:%a ${COMPUTER.state}`)).toBe("0:700");
    });

    it("refuses system calls that reach into the kernel", async () => {
      for (const command of [
        "unshare -U true",
        "unshare -r true",
        "mount -t tmpfs none /tmp",
        "dmesg",
        "chroot / true",
      ]) {
        expect((await run(driver, shared, command)).exitCode, command).not.toBe(0);
      }
    });

    it("has files that agents can't change, and nothing of the machine's", async () => {
      for (const path of READ_ONLY) {
        const { exitCode } = await run(driver, shared, `touch ${path}/new 2>/dev/null || touch ${path}`);
        expect(exitCode, path).not.toBe(0);
      }
      expect(await inside("find /root /home -maxdepth 2 -type f -o -name .ssh 2>/dev/null || true")).toBe("");
      expect((await run(driver, shared, "cat /etc/shadow")).exitCode).not.toBe(0);
      expect(await inside("test -e /work || test -e /var/run/docker.sock || echo nothing")).toBe("nothing");
    });

    it("has what programs expect", async () => {
      expect(
        await inside("id -un; echo $HOME; node -p 1+1; npm --version | head -c 2; git --version | head -c 3"),
      ).toBe("agent\n/session\n2\n11git");
      expect(
        await inside("cd /session/workspace && echo a > file && cat file; echo b > /tmp/t; echo c > /dev/shm/s"),
      ).toBe("a");
      expect(await inside("getent hosts localhost | wc -l; (ls /dev/pts/ptmx && true) | wc -l")).toBe("1\n1");
    });

    networkSuite(computers);

    it("keeps files through stop and start, and only files", async () => {
      const id = await started();
      await inside("echo kept > /session/workspace/file; echo gone > /dev/shm/file", id);
      await driver.stop(id, 3000);
      await driver.stop(id, 3000);
      expect(await driver.observe(id)).toMatchObject({
        status: "stopped",
        volumeId: expect.any(String),
        outOfMemory: false,
      });
      await open(driver, specOf({ id }));
      expect(await inside("cat /session/workspace/file; cat /dev/shm/file 2>/dev/null || echo clean", id)).toBe(
        "kept\nclean",
      );
      // The computer goes, the volume stays.
      await driver.remove(id, { volume: false });
      expect(await driver.observe(id)).toMatchObject({
        status: "absent",
        containerId: null,
        volumeId: expect.any(String),
      });
      expect((await driver.list()).map((computer) => computer.id)).toContain(id);
      await open(driver, specOf({ id }));
      expect(await inside("cat /session/workspace/file", id)).toBe("kept");
      await remove(id);
    });

    it("does nothing twice when a start is repeated", async () => {
      await inside("echo first > /dev/shm/marker");
      const again = await driver.start(specOf({ id: shared }), AbortSignal.timeout(60_000));
      expect(again.status).toBe("running");
      expect(await inside("cat /dev/shm/marker")).toBe("first");
    });

    it("freezes and thaws with memory as it was", async () => {
      const id = await started();
      await inside("echo memory > /dev/shm/marker", id);
      await driver.freeze(id);
      await driver.freeze(id);
      expect((await driver.observe(id)).status).toBe("frozen");
      const connection = new HostConnection(driver.socketDirectory(id));
      // Nothing inside runs, so nothing answers.
      await expect(connection.health(AbortSignal.timeout(300))).rejects.toThrow();
      await driver.thaw(id);
      await driver.thaw(id);
      expect((await driver.observe(id)).status).toBe("running");
      expect(await inside("cat /dev/shm/marker", id)).toBe("memory");
      connection.close();
      // A frozen computer can be removed as it is.
      await driver.freeze(id);
      await remove(id);
      expect(await fixture.traces(id)).toEqual([]);
    });

    it("gives a frozen computer's memory back where the machine can swap", async (test) => {
      skipWithout(driver.capabilities.limits.memory_mb, test, "a limit of memory_mb");
      const swap = await openSwap(256);
      if (swap === undefined) return skipWithout(false, test, "room to swap that can be added");
      try {
        const id = await started();
        const sum = await inside("head -c 30M /dev/urandom > /dev/shm/random; sha256sum /dev/shm/random", id);
        const group = (await fixture.memoryGroup(id)) ?? "";
        const file = ["memory.current", "memory.usage_in_bytes"].find((each) => existsSync(join(group, each))) ?? "";
        const held = async () => Number(readFileSync(join(group, file), "utf8")) / 1024 ** 2;
        expect(await held()).toBeGreaterThan(35);
        await driver.freeze(id);
        await expect.poll(held, { timeout: 20_000 }).toBeLessThan(4);
        expect((await driver.observe(id)).status).toBe("frozen");
        await driver.thaw(id);
        expect(await inside("sha256sum /dev/shm/random", id)).toBe(sum);
        // Whoever stays awake keeps its memory.
        expect(await held()).toBeGreaterThan(30);
        await remove(id);
      } finally {
        await swap.close();
      }
    });

    it("notices a computer that is killed from outside, and starts it again", async () => {
      const id = await started();
      const { seen, leave } = noticeOf(driver, id);
      await fixture.kill(id);
      await seen;
      leave();
      expect((await driver.observe(id)).status).toBe("stopped");
      await open(driver, specOf({ id }));
      expect(await inside("echo again", id)).toBe("again");
      await remove(id);
    });

    it("ends a host that does not listen to reason", async () => {
      const id = await started();
      await inside("sh -c 'trap \"\" TERM INT HUP; sleep 1000' >/dev/null 2>&1 & echo $!", id);
      await driver.stop(id, 200);
      expect((await driver.observe(id)).status).toBe("stopped");
      await remove(id);
    });

    it("tells what is there, and removes it without a trace", async () => {
      const id = await started();
      expect(await driver.observe(id)).toEqual({
        id,
        kind: "session",
        status: "running",
        containerId: expect.stringContaining(id),
        volumeId: expect.stringContaining(id),
        outOfMemory: false,
      });
      expect(await driver.list()).toContainEqual(expect.objectContaining({ id, status: "running" }));
      expect(await fixture.traces(id)).not.toEqual([]);
      await remove(id);
      await remove(id);
      expect(await driver.observe(id)).toMatchObject({ status: "absent", containerId: null, volumeId: null });
      expect((await driver.list()).map((computer) => computer.id)).not.toContain(id);
      expect(await fixture.traces(id)).toEqual([]);
    });

    it("leaves a start at once when it is aborted, and can be asked again", async () => {
      const id = randomUUIDv7();
      made.add(id);
      const reason = new Error("not any more");
      await expect(driver.start(specOf({ id }), AbortSignal.abort(reason))).rejects.toBe(reason);
      const leaving = new AbortController();
      const start = driver.start(specOf({ id }), leaving.signal);
      setImmediate(() => leaving.abort(reason));
      await expect(start).rejects.toBe(reason);
      await open(driver, specOf({ id }));
      expect(await inside("echo here", id)).toBe("here");
      await remove(id);
      expect(await fixture.traces(id)).toEqual([]);
    });

    it("gives a copy of the files, and nothing that ties it to the first", async () => {
      const id = await started();
      await inside("echo one > /session/workspace/file; ln -s file /session/workspace/link", id);
      const copy = randomUUIDv7();
      made.add(copy);
      await driver.freeze(id);
      expect(["reflink", "copy"]).toContain(await driver.copyVolume(id, copy, AbortSignal.timeout(60_000)));
      await driver.thaw(id);
      await inside("echo two > /session/workspace/file", id);
      await open(driver, specOf({ id: copy }));
      expect(await inside("cat /session/workspace/link; echo three > /session/workspace/file", copy)).toBe("one");
      expect(await inside("cat /session/workspace/file", id)).toBe("two");
      await remove(id);
      expect(await inside("cat /session/workspace/file", copy)).toBe("three");
      await remove(copy);
    });

    it("takes root only where it is asked for, and never the machine's", async () => {
      const id = await started({ root: true });
      expect(await inside("id -u; touch /etc/made-by-root && echo written", id)).toBe("0\nwritten");
      expect(await inside("install -o 1000 -g 1000 /dev/null /tmp/given && stat -c %u /tmp/given", id)).toBe("1000");
      // Root or not: the host, the machine's devices and its kernel are out of reach.
      for (const command of [
        `cat ${COMPUTER.socketDirectory}/${COMPUTER.hostSocket} || ls ${COMPUTER.socketDirectory}`,
        "mknod /tmp/disk b 8 0 && head -c 1 /tmp/disk",
        "dmesg -C",
        "date -s 2001-01-01",
        "echo 1 > /proc/sys/kernel/sysrq",
      ]) {
        if (driver.name === "docker" && command.startsWith("cat")) continue;
        expect((await run(driver, id, command)).exitCode, command).not.toBe(0);
      }
      await remove(id);
    });

    it("follows no link that root inside has put in a folder's place", async () => {
      const spec = specOf({ root: true });
      made.add(spec.id);
      const machine = () => ["hosts", "passwd", "group"].map((file) => readFileSync(`/etc/${file}`, "utf8"));
      const ours = ["/run/raworc", "/opt/raworc"].filter((folder) => existsSync(folder));
      const before = machine();
      await open(driver, spec);
      const up = "../".repeat(8);
      // Without its folders a computer may run no command any more, and tell so.
      const attempt = (command: string) => run(driver, spec.id, command).catch(() => undefined);
      for (const folder of ["etc", "opt", "session", "tmp", "var", "home"]) {
        await attempt(`mv /${folder} /${folder}.old; ln -s ${up}${folder} /${folder}`);
      }
      await attempt(`rm -rf /run; ln -s ${up}run /run`);
      await attempt(`mv /usr /usr.old; ln -s ${up}usr /usr`);
      await driver.stop(spec.id, 2000);
      // Who breaks his own root may find that it does not start again; the machine is as it was.
      await driver.start(spec, AbortSignal.timeout(30_000)).catch(() => undefined);
      expect(machine()).toEqual(before);
      expect(["/run/raworc", "/opt/raworc"].filter((folder) => existsSync(folder))).toEqual(ours);
      await remove(spec.id);
      expect(await fixture.traces(spec.id)).toEqual([]);
    });

    limitsSuite(computers);

    buildsSuite(computers);

    it("shows another installation nothing", async () => {
      const other = await fixture.open(randomUUIDv7());
      try {
        expect(await other.list()).toEqual([]);
        expect(await other.observe(shared)).toMatchObject({ status: "absent", volumeId: null });
        await other.remove(shared, { volume: true });
        expect(await inside("echo unharmed")).toBe("unharmed");
      } finally {
        await other.close();
      }
    });

    it("is taken up by the next control plane as it runs", async () => {
      const id = await started({ network: { mode: "allowlist", allow: [] } });
      await inside("echo memory > /dev/shm/marker", id);
      await driver.close();
      driver = await fixture.open(instanceId);
      expect((await driver.observe(id)).status).toBe("running");
      const spec = specOf({ id, network: { mode: "allowlist", allow: [] } });
      expect((await driver.start(spec, AbortSignal.timeout(60_000))).status).toBe("running");
      await claim(driver, id, { NEWER: "yes" });
      expect(await inside("cat /dev/shm/marker; echo $NEWER", id)).toBe("memory\nyes");
      const { seen, leave } = noticeOf(driver, id);
      await fixture.kill(id);
      await seen;
      leave();
      expect((await driver.observe(id)).status).toBe("stopped");
      await remove(id);
      expect(await fixture.traces(id)).toEqual([]);
    });
  });
}
