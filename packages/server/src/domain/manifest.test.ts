import { describe, expect, it } from "vitest";
import { type FolderEntry, ManifestError, planAgent, resolveManifest } from "./manifest.ts";

const files = (...names: string[]): FolderEntry[] => names.map((name) => ({ name, kind: "file" }));
const plan = (names: string[], manifest?: unknown) =>
  planAgent(files(...names), manifest === undefined ? undefined : JSON.stringify(manifest));

function fault(manifest: unknown, names: string[] = ["main.py"]): ManifestError {
  try {
    planAgent(files(...names), typeof manifest === "string" ? manifest : JSON.stringify(manifest));
  } catch (error) {
    if (error instanceof ManifestError) return error;
    throw error;
  }
  throw new Error("accepted");
}

describe("planAgent", () => {
  it.each([
    [["requirements.txt"], "python", "main.process_message"],
    [["pyproject.toml"], "python", "main.process_message"],
    [["agent.py"], "python", "main.process_message"],
    [["agent.py", "README.md"], "python", "main.process_message"],
    [["package.json", "index.js"], "node", "index.processMessage"],
    [["package.json", "tool.py"], "node", "index.processMessage"],
    [["Cargo.toml", "tool.py"], "rust", undefined],
  ] as const)("detects %j", (names, runtime, handler) => {
    expect(plan([...names])).toMatchObject({ runtime, handler, timeoutSeconds: 600, environment: {} });
  });

  it.each([
    ["python", "python", undefined],
    ["python3", "python", undefined],
    ["python3.12", "python", "python3.12"],
    ["Python", "python", undefined],
    ["node", "node", undefined],
    ["nodejs", "node", undefined],
    ["javascript", "node", undefined],
    ["typescript", "node", undefined],
    ["rust", "rust", undefined],
  ])("takes the runtime %s, whatever the files", (name, runtime, interpreter) => {
    expect(plan(["package.json", "Cargo.toml", "main.py"], { runtime: name })).toMatchObject({ runtime, interpreter });
  });

  it("asks which one where several are there, and what to add where none is", () => {
    expect(() => plan(["package.json", "requirements.txt"])).toThrow(/requirements\.txt and package\.json.*"runtime"/);
    expect(() => plan(["README.md"])).toThrow(/requirements\.txt.*Cargo\.toml/);
    expect(() => plan(["index.mjs"])).toThrow(/index\.mjs.*"node"/);
    expect(() => plan([])).toThrow(ManifestError);
    const folder: FolderEntry[] = [{ name: "package.json", kind: "folder" }];
    expect(() => planAgent(folder, undefined)).toThrow(ManifestError);
  });

  it("keeps what the manifest says", () => {
    const manifest = {
      runtime: "node",
      handler: "dist/index.run",
      build_command: "npm run build",
      timeout_s: 5,
      env: { MODE: "fast" },
      system_packages: ["ffmpeg"],
    };
    const found = plan([], manifest);
    expect(found).toMatchObject({
      handler: "dist/index.run",
      buildCommand: "npm run build",
      systemPackages: ["ffmpeg"],
    });
    expect(resolveManifest(found, { handler: "dist/index.run", kind: "worker" })).toEqual({
      runtime: "node",
      handler: "dist/index.run",
      timeout_s: 5,
      env: { MODE: "fast" },
      kind: "worker",
    });
  });

  it.each([
    ["rust", "lib.answer"],
    ["rust", "my-crate::answer"],
    ["rust", "my-binary"],
    ["python", "package.module.graph"],
    ["python", "src/agent.run"],
    ["node", "index.default"],
    ["node", "./dist/index.js.run"],
    ["node", "index.$run"],
  ])("takes the %s handler %s", (runtime, handler) => {
    expect(plan([], { runtime, handler })).toMatchObject({ handler });
  });

  it.each([
    ["python", "main"],
    ["python", ".run"],
    ["python", "main."],
    ["python", "main.1run"],
    ["python", "/etc/passwd.run"],
    ["python", "../other/main.run"],
    ["python", "main.run now"],
    ["node", "index"],
    ["node", "a/../../b.run"],
    ["rust", "lib::a::b"],
    ["rust", "../run"],
    ["rust", "-x"],
  ])("refuses the %s handler %j and shows a right one", (runtime, handler) => {
    const error = fault({ runtime, handler });
    expect(error.code).toBe("manifest_invalid");
    expect(error.message).toContain('"handler"');
  });

  it.each([
    [{ runtime: "ruby" }, "runtime_unknown", ['"runtime" is the text "ruby"', "python", "rust"]],
    [{ runtime: "python2" }, "runtime_unknown", ["python2"]],
    [{ runtime: 3 }, "manifest_invalid", ['"runtime" is number 3', "node"]],
    [{ runtime: null }, "manifest_invalid", ["null"]],
    [{ handlr: "main.run" }, "manifest_invalid", ['"handlr"', 'did you mean "handler"?']],
    [{ colour: "red" }, "manifest_invalid", ['"colour"', "runtime, handler, build_command"]],
    [{ handler: "" }, "manifest_invalid", ['"handler" is an empty text']],
    [{ handler: ["main"] }, "manifest_invalid", ['"handler" is a list of 1', "main.process_message"]],
    [{ timeout_s: "10" }, "manifest_invalid", ['"timeout_s" is the text "10"', "86400"]],
    [{ timeout_s: 0 }, "manifest_invalid", ["number 0", "above 0"]],
    [{ timeout_s: 1e9 }, "manifest_invalid", ["86400"]],
    [{ env: { A: 1 } }, "manifest_invalid", ['"env.A" is number 1', "object of texts"]],
    [{ env: { "1A": "x" } }, "manifest_invalid", ['"env.1A"', "letters"]],
    [{ env: ["A=1"] }, "manifest_invalid", ['"env" is a list']],
    [{ system_packages: "ffmpeg" }, "manifest_invalid", ["system_packages", "ffmpeg"]],
    [{ system_packages: ["ok", "--force"] }, "manifest_invalid", ['"system_packages.1"', "--force"]],
    [{ build_command: false }, "manifest_invalid", ["boolean false", "shell command"]],
    [{ runtime: "ruby", timeout_s: -1 }, "manifest_invalid", ["runtime", "timeout_s"]],
    [[], "manifest_invalid", ["a list of 0", "object"]],
    ["null", "manifest_invalid", ["null", "object"]],
    ["7", "manifest_invalid", ["number 7"]],
    ['{\n  "runtime": "python",\n}', "manifest_invalid", ["line 2, column 22", "comma"]],
    ["", "manifest_invalid", ["line 1, column 1"]],
    ["runtime: python", "manifest_invalid", ["line 1, column 1"]],
    [{ handler: "x".repeat(300) }, "manifest_invalid", ["256", "…"]],
  ])("says what is wrong with %j", (manifest, code, words) => {
    const error = fault(manifest);
    expect(error.code).toBe(code);
    for (const word of words) expect(error.message).toContain(word);
    expect(error.message.length).toBeLessThan(1500);
  });

  it("reads a manifest with a byte order mark, and takes an empty object for no manifest", () => {
    expect(planAgent([], '\uFEFF{"runtime":"rust"}').runtime).toBe("rust");
    expect(plan(["main.py"], {}).runtime).toBe("python");
  });

  it("takes names of Object's own for what they are", () => {
    expect(fault('{"__proto__": {"runtime": "python"}, "constructor": 1}').message).toContain("constructor");
    expect(fault({ runtime: "constructor" }).code).toBe("runtime_unknown");
  });
});
