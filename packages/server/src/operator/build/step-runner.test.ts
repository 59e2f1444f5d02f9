import type { HostExecLine } from "@raworc/contract";
import { describe, expect, it } from "vitest";
import { DriverError } from "../../runtime/driver.ts";
import { BuildFailure } from "./build-failure.ts";
import { StepRunner } from "./step-runner.ts";

const print = (data: string, type: "stdout" | "stderr" = "stdout"): HostExecLine => ({ type, data, encoding: "utf-8" });
const exit = (exit_code: number | null, signal: string | null = null, timed_out = false): HostExecLine => ({
  type: "exit",
  exit_code,
  signal,
  timed_out,
});

/** Runs one step whose computer says these lines. */
async function run(lines: readonly HostExecLine[], step: { readonly quiet?: boolean; readonly seconds?: number } = {}) {
  const log: string[] = [];
  const steps = new StepRunner({
    computer: {
      async *exec() {
        yield* lines;
      },
    },
    environment: {},
    onLine: async (line) => {
      log.push(line);
    },
    signal: new AbortController().signal,
    totalSeconds: 60,
  });
  const outcome = await steps.run({ label: "install", command: ["install"], cwd: "/", ...step }).then(
    (end) => ({ end, error: undefined }),
    (error: unknown) => ({ end: undefined, error }),
  );
  return { log, ...outcome };
}

describe("StepRunner", () => {
  it("logs what a step prints, safe for a terminal and without credentials", async () => {
    const { log, end } = await run([
      print("one\ntw"),
      print("o\n"),
      print("progress 10%\rprogress 100%\n\u001b[31mred\u001b[0m\u0007\n"),
      print("fetching https://user:secret@host/simple\n", "stderr"),
      print(`${"x".repeat(5000)}\nlast`),
      exit(0),
    ]);
    expect(end?.exitCode).toBe(0);
    expect(log.slice(0, 6)).toEqual([
      "# install",
      "one",
      "two",
      "progress 100%",
      "red",
      "fetching https://***@host/simple",
    ]);
    expect(log.at(-2)).toBe(`${"x".repeat(2000)}…`);
    expect(log.at(-1)).toBe("last");
  });

  it("keeps the output of a quiet step for its caller", async () => {
    const { log, end } = await run([print("answer"), exit(0)], { quiet: true });
    expect(log).toEqual([]);
    expect(new TextDecoder().decode(end?.stdout)).toBe("answer");
  });

  it.each([
    [[print("why\n"), exit(3)], "build_command_failed", /^install failed: exit code 3$/],
    [[exit(null, "SIGKILL")], "build_command_failed", /needed more memory/],
    [[exit(null, "SIGTERM")], "build_command_failed", /ended by SIGTERM/],
    [[exit(null, "SIGKILL", true)], "build_timeout", /install took longer than its limit of 5 s/],
    [[print("tar: No space left on device\n", "stderr"), exit(2)], "disk_full", /disk is full/],
  ] as const)("tells the author of %j", async (lines, code, message) => {
    const { error } = await run(lines, { seconds: 5 });
    expect(error).toBeInstanceOf(BuildFailure);
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it("shows the end of the log with a failure", async () => {
    const { error } = await run([...Array.from({ length: 100 }, (_, index) => print(`line ${index}\n`)), exit(1)]);
    const text = error instanceof BuildFailure ? error.describe() : "";
    expect(text).toMatch(/^install failed: exit code 1\n\nline 60\n[\s\S]*line 99$/);
  });

  it("takes a step that broke off for the computer's fault", async () => {
    const { error } = await run([print("one\n")]);
    expect(error).toBeInstanceOf(DriverError);
    expect(error).toMatchObject({ transient: true });
  });
});
