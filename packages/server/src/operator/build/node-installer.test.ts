import { describe, expect, it } from "vitest";
import { BuildFailure } from "./build-failure.ts";
import { chooseInstaller } from "./node-installer.ts";
import { readNodePackage } from "./node-package.ts";

const DEPENDENCIES = { dependencies: { ms: "2" } };
const choose = (files: string[], found: unknown) =>
  chooseInstaller(new Set(files), readNodePackage(JSON.stringify(found)));

describe("chooseInstaller", () => {
  it.each([
    [["package-lock.json"], DEPENDENCIES, "npm ci"],
    [["npm-shrinkwrap.json", "yarn.lock"], DEPENDENCIES, "npm ci"],
    [[], DEPENDENCIES, "npm install"],
    [["pnpm-lock.yaml"], { ...DEPENDENCIES, packageManager: "pnpm@9.1.0+sha512.abc" }, "pnpm@9.1.0 install"],
    [["pnpm-lock.yaml"], DEPENDENCIES, "pnpm@10 install"],
    [["yarn.lock"], DEPENDENCIES, "yarn 1.22.22"],
    [["yarn.lock", ".yarnrc.yml"], DEPENDENCIES, "yarn 4"],
    [["yarn.lock"], { ...DEPENDENCIES, packageManager: "yarn@4.5.0" }, "yarn 4.5.0"],
    [[], { ...DEPENDENCIES, packageManager: "pnpm@9; rm -rf /" }, "npm install"],
    [[], { workspaces: ["a"] }, "npm install"],
    [[], { scripts: { postinstall: "echo" } }, "npm install"],
    [["bun.lockb"], DEPENDENCIES, "npm install"],
  ])("of %j and %j takes its tool", (files, found, label) => {
    expect(choose(files, found)?.label).toContain(label);
  });

  it("installs nothing where there is nothing", () => {
    expect(choose(["package-lock.json"], { name: "x", scripts: { test: "x" }, dependencies: {} })).toBeUndefined();
  });
});

describe("readNodePackage", () => {
  it("says what is wrong", () => {
    expect(() => readNodePackage("{")).toThrow(BuildFailure);
    expect(() => readNodePackage("[]")).toThrow(/object/);
    expect(readNodePackage('{"dependencies": 3, "main": "../x.js"}')).toMatchObject({
      hasInstallation: false,
      main: undefined,
    });
  });
});
