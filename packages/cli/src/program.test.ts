import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { createProgram, runProgram } from "./program.ts";
import { RESOURCE_KINDS } from "./resource-kinds.ts";
import { testContext } from "./test-context.ts";
import { VERSION } from "./version.ts";

describe("the command line", () => {
  test.each([[[]], [["help"]], [["--help"]], [["help", "session"]]])("shows help for %j", async (words) => {
    using run = testContext();
    expect(await runProgram(run.context, words)).toBe(0);
    expect(run.out()).toContain("Usage: raworc");
    expect(run.out()).toContain("Examples:");
    expect(run.err()).toBe("");
  });

  test("tells its version, which is the product's", async () => {
    using run = testContext();
    expect(await runProgram(run.context, ["--version"])).toBe(0);
    expect(run.out()).toBe(`${VERSION}\n`);
    const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
      version: string;
    };
    expect(version).toBe(VERSION);
  });

  test.each([
    [["sesion"], "Did you mean session?"],
    [["help", "sesion"], "Did you mean session?"],
    [["stop", "--clenup"], "Did you mean --cleanup?"],
    [["start", "--port", "99999"], "whole number"],
    [["start", "database"], "no component database"],
    [["start", "--runtime", "vm"], "Allowed choices are"],
    [["get"], "resources: spaces, agents"],
    [["get", "pods"], 'no resource "pods"'],
    [["get", "messages"], "not logged in"],
    [["describe", "agent"], "Say which agent"],
    [["create", "agent", "poet"], "source_repo"],
    [["create", "space", "x", "--settings", "{"], "Use JSON"],
    [["logs", "moon"], "no log of"],
    [["session", "--resume", "x", "--space", "y"], "has its space"],
    [["auth", "login"], "--user"],
    [["auth", "login", "--token", "x", "--user", "y"], "leave out --user"],
    [["reset"], "--yes"],
    [["api", "x", "-X", "FETCH"], "no method FETCH"],
    [["api", "x", "-H", "nonsense"], "'Name: value'"],
    [["completion", "csh"], "Allowed choices are"],
  ])("refuses %j as wrong usage, or for want of a login", async (words, said) => {
    using run = testContext();
    const code = await runProgram(run.context, words);
    expect(code, run.err()).toBe(said === "not logged in" ? 4 : 2);
    expect(run.err().toLowerCase()).toContain(said.toLowerCase());
    expect(run.out()).toBe("");
  });

  test("says that nobody is logged in by its exit code", async () => {
    using run = testContext();
    for (const words of [["auth"], ["get", "agents"], ["session"], ["cleanup", "--yes"], ["build"]]) {
      expect(await runProgram(run.context, words), words.join(" ")).toBe(4);
    }
    expect(run.err()).toContain("raworc auth login");
  });

  test("says how to start a server that does not answer", async () => {
    using run = testContext({ environment: { RAWORC_SERVER: "http://127.0.0.1:2", RAWORC_TOKEN: "x" } });
    expect(await runProgram(run.context, ["get", "agents"])).toBe(1);
    expect(run.err()).toContain("connection refused");
    expect(run.err()).toContain("raworc start");
  });

  test("has an option for each field of a resource that can be made", () => {
    using run = testContext();
    const create = createProgram(run.context).commands.find((command) => command.name() === "create");
    const made = RESOURCE_KINDS.filter(({ routes }) => routes.create !== undefined);
    expect(create?.commands.map((command) => command.name())).toEqual(made.map(({ singular }) => singular));
    const agent = create?.commands.find((command) => command.name() === "agent");
    const flags = agent?.options.map(({ long }) => long) ?? [];
    expect(flags).toEqual(expect.arrayContaining(["--source-repo", "--source-branch", "--purpose", "--space"]));
  });
});

describe("completion", () => {
  const complete = async (line: string): Promise<string[]> => {
    using run = testContext();
    await runProgram(run.context, ["completion", "bash"]);
    const words = line.split(" ");
    const script = `${run.out()}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")})\nCOMP_CWORD=${words.length - 1}\n_raworc\nprintf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync("bash", ["-c", script], { encoding: "utf8" }).trim().split("\n");
  };

  test.each([
    ["raworc se", ["secret", "session"]],
    ["raworc auth lo", ["login", "logout"]],
    ["raworc auth login --u", ["--user"]],
    ["raworc --x st", ["start", "stop", "status"]],
    ["raworc completion z", ["zsh"]],
    ["raworc get agents --out", ["--output"]],
  ])("of %s in bash", async (line, expected) => {
    expect((await complete(line)).toSorted()).toEqual(expected.toSorted());
  });
});
