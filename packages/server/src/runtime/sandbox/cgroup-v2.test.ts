import { mkdirSync, watch, writeFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CgroupV2 } from "./cgroup-v2.ts";

/** Plain files in the place of the kernel's: the machine that runs this may have the older version only. */
describe.skipIf(process.getuid?.() !== 0)("control groups of version 2", () => {
  let top: string;
  const parent = () => join(top, "raworc_label");
  const group = (file: string) => join(parent(), "one", file);
  const mounts = () => [{ target: top, type: "cgroup2", options: ["rw"] }];

  function layOut(controllers: string): void {
    mkdirSync(join(parent(), "one"), { recursive: true });
    for (const folder of [top, parent()]) {
      writeFileSync(join(folder, "cgroup.controllers"), `${controllers}\n`);
      writeFileSync(join(folder, "cgroup.subtree_control"), `${controllers}\n`);
    }
    for (const file of ["memory.max", "memory.swap.max", "pids.max", "cpu.max", "cgroup.procs", "cgroup.freeze"]) {
      writeFileSync(group(file), "");
    }
    writeFileSync(group("cgroup.events"), "populated 1\nfrozen 0\n");
    writeFileSync(group("memory.events"), "oom 2\noom_kill 1\n");
  }

  beforeEach(async () => {
    top = await mkdtemp(join(tmpdir(), "raworc-groups-"));
  });
  afterEach(() => rm(top, { recursive: true, force: true }));

  it("writes limits in the kernel's words", async () => {
    layOut("cpuset cpu io memory pids");
    const groups = await CgroupV2.open(mounts(), "label");
    expect(groups?.enforced).toEqual({ cpus: true, memory_mb: true, pids: true });
    await groups?.create("one", { cpus: 1.5, memory_mb: 256, pids: 64 });
    await groups?.add("one", 1234);
    const written = await Promise.all(
      ["memory.max", "memory.swap.max", "pids.max", "cpu.max", "cgroup.procs"].map((file) =>
        readFile(group(file), "utf8"),
      ),
    );
    expect(written).toEqual(["268435456", "0", "64", "150000 100000", "1234"]);
    expect(await groups?.memoryKills("one")).toBe(1);
    expect(await groups?.list()).toEqual(["one"]);
  });

  it("waits for the kernel to say that everything stands still", async () => {
    layOut("cpu memory pids");
    const groups = await CgroupV2.open(mounts(), "label");
    const kernel = watch(group("cgroup.freeze"), () => {
      kernel.close();
      void writeFile(group("cgroup.events"), "populated 1\nfrozen 1\n");
    });
    await groups?.freeze("one");
    expect(await groups?.isFrozen("one")).toBe(true);
    expect(await readFile(group("cgroup.freeze"), "utf8")).toBe("1");
    await groups?.thaw("one");
    expect(await readFile(group("cgroup.freeze"), "utf8")).toBe("0");
  });

  it("is not there without the controllers for memory and pids", async () => {
    layOut("cpu io");
    expect(await CgroupV2.open(mounts(), "label")).toBeUndefined();
    expect(await CgroupV2.open([], "label")).toBeUndefined();
  });
});
