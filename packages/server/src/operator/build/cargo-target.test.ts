import { describe, expect, it } from "vitest";
import { BuildFailure } from "./build-failure.ts";
import { chooseCargoTarget } from "./cargo-target.ts";

const library = (name: string, type = "lib") => ({ name, kind: [type], crate_types: [type] });
const binary = (name: string) => ({ name, kind: ["bin"], crate_types: ["bin"] });
const metadata = (packages: Record<string, { name: string; kind: string[]; crate_types: string[] }[]>) => ({
  packages: Object.entries(packages).map(([folder, targets]) => ({
    name: folder.replace("/", "-") || "root-agent",
    manifest_path: `/code${folder && `/${folder}`}/Cargo.toml`,
    targets,
  })),
  workspace_root: "/code",
  target_directory: "/code/target",
});
const choose = (packages: Parameters<typeof metadata>[0], handler?: string, directory = "/code") =>
  chooseCargoTarget(metadata(packages), directory, handler);

describe("chooseCargoTarget", () => {
  it("takes the only binary, or else the library", () => {
    expect(choose({ "": [library("root_agent"), binary("solve")] })).toMatchObject({ kind: "binary", name: "solve" });
    expect(choose({ "": [library("root_agent")] })).toEqual({
      kind: "library",
      package: "root-agent",
      folder: "/code",
      function: "process_message",
    });
  });

  it.each(["lib.answer", "root_agent.answer", "root-agent::answer", "root_agent::answer"])("links %s", (handler) => {
    const found = choose({ "": [library("root_agent"), binary("solve")] }, handler);
    expect(found).toMatchObject({ kind: "library", function: "answer" });
  });

  it("keeps to the folder's own package, and looks through a workspace that has none there", () => {
    const packages = { one: [library("one"), binary("a")], two: [library("two"), binary("b")] };
    expect(choose(packages, undefined, "/code/two")).toMatchObject({ package: "two", name: "b" });
    expect(choose(packages, "one::run")).toMatchObject({ kind: "library", folder: "/code/one" });
    expect(choose(packages, "b")).toMatchObject({ package: "two" });
    expect(() => choose(packages, "lib.run")).toThrow(/several libraries: one, two/);
    expect(() => choose(packages)).toThrow(/several binaries: a, b/);
  });

  it.each([
    [{ "": [binary("solve")] }, "lib.answer", /no library.*src\/lib\.rs/],
    [{ "": [library("x", "cdylib")] }, "lib.answer", /no library/],
    [{ "": [library("root_agent")] }, "rot_agent.answer", /Did you mean root_agent/],
    [{ "": [binary("solve")] }, "solv", /Did you mean solve/],
    [{ "": [library("m", "proc-macro")] }, undefined, /neither/],
  ])("says what is wrong with %j and %j", (packages, handler, hint) => {
    expect(() => choose(packages, handler)).toThrow(hint);
    expect(() => choose(packages, handler)).toThrow(BuildFailure);
  });
});
