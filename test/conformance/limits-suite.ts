import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { skipWithout } from "../support/requirements.ts";
import { run } from "./computer-calls.ts";
import type { SuiteComputers } from "./suite-computers.ts";

/** What a computer can take of the machine at most. */
export function limitsSuite(computers: SuiteComputers): void {
  const { inside, remove, started } = computers;
  describe("limits", () => {
    const limits = { cpus: 1, memory_mb: 256, disk_mb: 96, pids: 64 };
    let id: string;

    beforeAll(async () => {
      id = await started({ limits });
    });
    afterAll(() => remove(id));

    it("ends what takes too much memory, and not the host", async (test) => {
      skipWithout(computers.driver.capabilities.limits.memory_mb, test, "a limit of memory_mb");
      const { exitCode, signal } = await run(computers.driver, id, [
        "node",
        "-e",
        "const all = []; for (;;) all.push(Buffer.alloc(8 << 20, 1));",
      ]);
      expect(exitCode).not.toBe(0);
      expect(signal ?? exitCode).toBeTruthy();
      expect(await inside("head -c 300000000 /dev/zero > /dev/shm/fill; rm -f /dev/shm/fill; echo done", id)).toBe(
        "done",
      );
    });

    it("stops a fork bomb", async (test) => {
      skipWithout(computers.driver.capabilities.limits.pids, test, "a limit of pids");
      const bomb = "trap 'kill 0' EXIT; i=0; while [ $i -lt 200 ]; do sleep 20 & i=$((i+1)); done; echo all";
      expect((await run(computers.driver, id, bomb)).stdout).not.toContain("all");
      expect(await inside("echo here", id)).toBe("here");
    });

    it("ends a full disk with an error, in all writable places together", async (test) => {
      skipWithout(computers.driver.capabilities.limits.disk_mb, test, "a limit of disk_mb");
      const fill = "for place in /session/workspace /tmp /var/tmp; do head -c 80000000 /dev/zero > $place/fill; done";
      const { stderr } = await run(computers.driver, id, fill);
      expect(stderr).toContain("No space left on device");
      const bytes = await inside("cat /session/workspace/fill /tmp/fill /var/tmp/fill | wc -c", id);
      expect(Number(bytes)).toBeLessThan(limits.disk_mb * 1024 * 1024);
      await inside("rm -f /session/workspace/fill /tmp/fill /var/tmp/fill", id);
    });

    it("changes limits while the computer runs", async (test) => {
      skipWithout(computers.driver.capabilities.limits.pids, test, "a limit of pids");
      await computers.driver.changeLimits(id, { ...limits, pids: 128, memory_mb: 384, cpus: 0.5 });
      const crowd = "i=0; while [ $i -lt 80 ]; do sleep 20 & i=$((i+1)); done; kill $(jobs -p); echo all";
      expect((await run(computers.driver, id, crowd)).stdout).toContain("all");
    });
  });
}
