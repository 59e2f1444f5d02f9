import { randomUUIDv7 } from "node:crypto";
import { COMPUTER } from "@raworc/contract";
import { describe, expect, it } from "vitest";
import { run } from "./computer-calls.ts";
import type { SuiteComputers } from "./suite-computers.ts";

/** Artifacts of builders, and sessions of builds that are made of them. */
export function buildsSuite(computers: SuiteComputers): void {
  const { inside, remove, started } = computers;
  describe("builds", () => {
    const key = `key${randomUUIDv7().replaceAll("-", "")}`;
    const path = `${COMPUTER.artifacts}/${key}`;
    const hostile = [
      `mkdir -p ${path}/sub && cd ${path}`,
      "echo 'built' > sub/file && chmod 600 sub/file && printf '#!/bin/sh\\necho ran\\n' > run && chmod 4755 run",
      "ln -s /etc/shadow shadow && ln -s / everything && ln -s sub inner && ln sub/file hard",
      "mkfifo pipe && ln -s /proc/self/environ environ && mkdir closed && echo x > closed/file && chmod 0700 closed",
      `printf x > "$(printf 'odd\\nname')"`,
    ].join(" && ");

    it("turns a builder's folder into an artifact for sessions", async () => {
      const builder = await started({
        kind: "builder",
        limits: { cpus: 1, memory_mb: 512, disk_mb: 512, pids: 256 },
      });
      await inside(hostile, builder);
      expect(await computers.driver.hasArtifact(key)).toBe(false);
      const signal = AbortSignal.timeout(60_000);
      await computers.driver.storeArtifact(key, { computerId: builder, path }, signal);
      await computers.driver.storeArtifact(key, { computerId: builder, path }, signal);
      expect(await computers.driver.hasArtifact(key)).toBe(true);
      await expect(
        computers.driver.storeArtifact(`${key}x`, { computerId: builder, path: `${path}/nowhere` }, signal),
      ).rejects.toThrow();
      expect(await computers.driver.hasArtifact(`${key}x`)).toBe(false);
      await remove(builder);
      expect(await computers.traces(builder)).toEqual([]);
    });

    it("starts sessions of a build with its artifacts, read-only and harmless", async () => {
      const buildId = randomUUIDv7();
      const signal = AbortSignal.timeout(60_000);
      const composition = { buildId, spaceName: "a--b_-_c", spaceId: "space", artifactKeys: [key] };
      const tag = await computers.driver.composeBuild(composition, signal);
      expect(tag).toBe(computers.driver.buildTag(composition));
      expect(computers.driver.buildTag({ buildId, spaceName: "default" })).toBe(`raworc_space_default:${buildId}`);
      const id = await started({ build: { buildId, imageTag: tag, artifactKeys: [key] } });
      expect(await inside(`cat ${path}/sub/file ${path}/hard ${path}/closed/file; ${path}/run`, id)).toBe(
        "built\nbuilt\nx\nran",
      );
      expect(await inside(`find ${path} -perm /7000; find ${path} -type b -o -type c -o -type s`, id)).toBe("");
      expect((await run(computers.driver, id, `cat ${path}/shadow`)).exitCode).not.toBe(0);
      expect((await run(computers.driver, id, `touch ${path}/new || touch ${path}/sub/file`)).exitCode).not.toBe(0);
      await remove(id);
      await computers.driver.removeBuild(tag);
      await computers.driver.removeBuild(tag);
      await computers.driver.removeArtifact(key);
      await computers.driver.removeArtifact(key);
      expect(await computers.driver.hasArtifact(key)).toBe(false);
    });

    it("refuses a build whose artifact is gone", async () => {
      const composition = {
        buildId: randomUUIDv7(),
        spaceName: "default",
        spaceId: "space",
        artifactKeys: [`${key}gone`],
      };
      await expect(computers.driver.composeBuild(composition, AbortSignal.timeout(30_000))).rejects.toThrow(
        /artifact/i,
      );
    });

    it("names its toolchain the same way each time", async () => {
      const toolchain = await computers.driver.toolchain();
      expect(toolchain).toMatch(/^[0-9a-f]{16,}$/);
      expect(await computers.driver.toolchain()).toBe(toolchain);
    });
  });
}
