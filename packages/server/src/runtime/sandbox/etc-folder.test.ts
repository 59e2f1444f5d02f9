import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterAll, expect, it } from "vitest";
import { EtcFolder } from "./etc-folder.ts";

const root = mkdtempSync(join(tmpdir(), "raworc-etc-"));
afterAll(() => rmSync(root, { recursive: true }));

const folderOf = (name: string): string => {
  mkdirSync(join(root, name), { recursive: true });
  return join(root, name);
};

it("is all of a computer's /etc, and another one once the machine's has changed", async () => {
  const machine = folderOf("machine");
  const [tools, made, shared] = [folderOf("machine/tools"), folderOf("made"), folderOf("shared")];
  writeFileSync(join(made, "passwd"), "agent");
  writeFileSync(join(machine, "profile"), "old");
  writeFileSync(join(machine, "secret"), "hidden");
  symlinkSync("/usr/bin/vi", join(tools, "editor"));
  const files = {
    ...{ directory: made, accounts: made, image: null, made: ["passwd"] },
    ...{ taken: ["tools", "profile"], links: { "sub/localtime": "/usr/share/zoneinfo/UTC" } },
  };
  const etc = new EtcFolder(shared, files, pino({ level: "silent" }), machine);
  const read = (folder: string | null, name: string) => readFileSync(join(folder ?? "", name), "utf8");

  const first = await etc.current();
  expect(read(first, "passwd") + read(first, "profile")).toBe("agentold");
  expect(readlinkSync(join(first ?? "", "tools/editor"))).toBe("/usr/bin/vi");
  expect(readlinkSync(join(first ?? "", "sub/localtime"))).toBe("/usr/share/zoneinfo/UTC");
  expect(() => read(first, "secret")).toThrow();
  // Another server finds the same one.
  expect(await new EtcFolder(shared, files, pino({ level: "silent" }), machine).current()).toBe(first);

  writeFileSync(join(machine, "profile.new"), "newer");
  renameSync(join(machine, "profile.new"), join(machine, "profile"));
  const second = await etc.current();
  expect(second).not.toBe(first);
  expect(read(second, "profile")).toBe("newer");
  // Computers run with the first one still.
  expect(read(first, "profile")).toBe("old");
});
