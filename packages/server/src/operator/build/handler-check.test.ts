import { describe, expect, it } from "vitest";
import { findMemberFault, JAVASCRIPT, PYTHON } from "./handler-check.ts";
import { nodeModules } from "./node-recipe.ts";
import { pythonModules } from "./python-recipe.ts";

describe("findMemberFault", () => {
  it.each([
    ["def process_message(message, context):\n  pass", PYTHON],
    ["async def process_message(message): ...", PYTHON],
    ["from agent import run as process_message", PYTHON],
    ["process_message = graph.compile()", PYTHON],
    ["from agent import *", PYTHON],
    ["globals()['process_' + 'message'] = print", PYTHON],
    ["export async function process_message() {}", JAVASCRIPT],
    ["export { run as process_message };", JAVASCRIPT],
    ["exports.process_message = () => 1;", JAVASCRIPT],
    ["module.exports = { ...handlers };", JAVASCRIPT],
    ["export * from './agent.js';", JAVASCRIPT],
    ["export default (message) => message;", JAVASCRIPT],
    ["var a=1;export{a as process_message}", JAVASCRIPT],
  ])("accepts %j", (text, language) => {
    expect(findMemberFault(text, "process_message", language)).toBeUndefined();
  });

  it.each([
    ["def process_mesage(m, c): ...\ndef other(): ...", PYTHON, /Did you mean process_mesage\?/],
    ["class Agent:\n  def reprocess_messages(self): ...\nLIMIT: int = 3", PYTHON, /Agent, LIMIT/],
    ["# process message\nimport os", PYTHON, /nothing/],
    ["export function processMessages() {}", JAVASCRIPT, /processMessages/],
    ["exports.run = () => 1; const x = 1;", JAVASCRIPT, /It has run\./],
    ["", JAVASCRIPT, /nothing/],
  ])("says what is there instead in %j", (text, language, hint) => {
    expect(findMemberFault(text, "process_message", language)).toMatch(hint);
  });

  it("takes no time for a text that was made to take it", () => {
    const names = Array.from({ length: 40_000 }, (_, index) => `def process_messag${index}(): ...`).join("\n");
    expect(findMemberFault(names, "process_message", PYTHON)).toMatch(/Did you mean/);
    expect(findMemberFault(`export ${" ".repeat(900_000)}`, "process_message", JAVASCRIPT)).toMatch(/nothing/);
  });
});

describe("where handlers are looked for", () => {
  const files = (candidates: readonly { file: string; member: string }[], ending: string) =>
    candidates
      .filter(({ file }) => file.endsWith(ending) && !file.startsWith(".venv"))
      .map(({ file, member }) => [file, member]);

  it("follows the adapter for Python", () => {
    expect(files(pythonModules("main.process_message"), ".py")).toEqual([
      ["main.py", "process_message"],
      ["main/__init__.py", "process_message"],
    ]);
    expect(files(pythonModules("./src/app.py.run"), ".py")[0]).toEqual(["src/app.py", "run"]);
    expect(files(pythonModules("a.b.C.run"), "C.py")).toEqual([["a/b/C.py", "run"]]);
    expect(files(pythonModules("a.b.C.run"), "b.py")).toEqual([["a/b.py", "C"]]);
  });

  it("follows the adapter for Node", () => {
    const found = files(nodeModules("index.processMessage", "lib/start.js"), "");
    expect(found[0]).toEqual(["index.js", "processMessage"]);
    expect(found.at(-1)).toEqual(["lib/start.js", "processMessage"]);
    expect(files(nodeModules("./dist/index.js.run", undefined), "")[0]).toEqual(["dist/index.js", "run"]);
  });
});
