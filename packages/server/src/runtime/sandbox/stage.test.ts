import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { parseMounts } from "../mount-lines.ts";
import { quote, words } from "./shell.ts";
import { Stage } from "./stage.ts";

it("writes words that a shell gives back as they were", () => {
  const odd = ["plain", "two words", "it's", "", "$(id)", "a\nb", "-n", "*", "\\", '"'];
  const script = `for word in ${words(...odd)}; do printf '%s\\0' "$word"; done`;
  expect(execFileSync("sh", ["-c", script], { encoding: "utf8" }).split("\0").slice(0, -1)).toEqual(odd);
  expect(quote("/usr/bin")).toBe("/usr/bin");
});

it("makes a table that names each folder once, odd names too", () => {
  const folder = mkdtempSync(join(tmpdir(), "raworc-stage "));
  try {
    mkdirSync(join(folder, "sub"));
    writeFileSync(join(folder, "file"), "");
    const stage = new Stage(join(folder, "table"), [folder]);
    const file = stage.bind(join(folder, "file"));
    expect(stage.bind(folder)).toBe(join(file, ".."));
    expect(stage.bind(join(folder, "sub"))).not.toBe(join(file, ".."));
    execFileSync("sh", ["-c", stage.commands[0] ?? "false"]);
    const listed = execFileSync("findmnt", ["--fstab", "-F", join(folder, "table"), "-n", "-o", "SOURCE"], {
      encoding: "utf8",
    });
    expect(listed.split("\n")).toContain(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it("never hides what it takes from", () => {
  expect(new Stage("table", ["/usr"]).directory).toBe("/dev/shm");
  expect(new Stage("table", ["/dev/shm/data", "/usr"]).directory).not.toBe("/dev/shm");
});

it("reads mounts as the kernel lists them", () => {
  const text = [
    "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue",
    "30 24 0:26 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory",
    "",
  ].join("\n");
  expect(parseMounts(text)).toEqual([
    { target: "/mnt 2", type: "ext3", options: ["rw", "errors=continue"] },
    { target: "/sys/fs/cgroup/memory", type: "cgroup", options: ["rw", "memory"] },
  ]);
});
