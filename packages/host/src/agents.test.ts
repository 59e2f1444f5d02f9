import { readFileSync, statSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "../../../test/support/requirements.ts";
import { type MessageOptions, TestComputer } from "./test-computer.ts";

const PYTHON = `
import asyncio, ctypes, json, os, sys, threading, time

def process_message(message, context):
    print("said", message)
    if message == "context":
        return context
    if message == "change history":
        given = json.loads(json.dumps(context))
        for entry in context["history"]:
            entry["content"] = "changed"
        context["history"].clear()
        return given
    if message == "nothing":
        return None
    if message == "children":
        os.system("echo from a child; echo its error >&2")
        ctypes.CDLL(None).puts(b"from C")
        ctypes.CDLL(None).fflush(None)
        return "printed"
    if message == "throw":
        raise ValueError("it broke")
    if message == "exit":
        sys.exit(3)
    if message == "vanish":
        os._exit(4)
    if message == "sleep":
        time.sleep(3600)
    if message == "stubborn":
        while True:
            try:
                time.sleep(3600)
            except KeyboardInterrupt:
                pass
    if message == "big":
        return "é" * 50_000_000
    if message == "flood":
        for _ in range(40):
            print("x" * 999_999)
        return "flooded"
    if message == "full":
        raise OSError(28, "No space left on device")
    if message == "loop":
        return asyncio.run(answer())
    if message == "pieces":
        return (piece for piece in ["a", None, "b", 1])
    if message == "late":
        threading.Timer(0.05, lambda: print("late print")).start()
    if message == "pid":
        return str(os.getpid())
    return "hello " + message

async def answer():
    await asyncio.sleep(0)
    return "from a loop"

async def later(message):
    if message == "exit":
        sys.exit(5)
    if message == "sleep":
        await asyncio.sleep(3600)
    await asyncio.sleep(0)
    return {"later": message}
`;

const NODE = `
import { execSync } from "node:child_process";
export async function processMessage(message: string, context: { agent: string; history: unknown[] }): Promise<unknown> {
  console.log("said %s", message);
  if (message === "context") return context;
  if (message === "change history") {
    const given = structuredClone(context);
    for (const entry of context.history) (entry as { content: string }).content = "changed";
    context.history.length = 0;
    return given;
  }
  if (message === "nothing") return undefined;
  if (message === "children") { execSync("echo from a child; echo its error >&2", { stdio: "inherit" }); return "printed"; }
  if (message === "throw") throw new RangeError("it broke");
  if (message === "exit") process.exit(3);
  if (message === "stray") { setTimeout(() => { throw new Error("out of reach"); }, 0); await new Promise(() => {}); }
  if (message === "sleep") await new Promise((resolve) => setTimeout(resolve, 3_600_000));
  if (message === "spin") for (;;);
  if (message === "big") return "é".repeat(50_000_000);
  return "hello " + message;
}
export async function* pieces(): AsyncGenerator<string> { yield "a"; yield "b"; }
export const notAFunction = 7;
`;

const COMMONJS = "exports.processMessage = function* (message) { yield 'common '; yield message };";

describeWith(["sandbox", "python"], "agents in a computer", () => {
  let computer: TestComputer;
  beforeAll(async () => {
    const python = (handler: string, more = {}) =>
      ({ runtime: "python", handler, files: { "main.py": PYTHON, "src/deep/mod.py": PYTHON }, ...more }) as const;
    const node = (handler: string, more = {}) =>
      ({ runtime: "node", handler, files: { "index.ts": NODE, "dist/old.cjs": COMMONJS }, ...more }) as const;
    computer = await TestComputer.start({
      python: python("main.process_message"),
      "python-async": python("main.later"),
      "python-deep": python("src/deep/mod.process_message"),
      "python-missing": python("main.proces_message"),
      "python-no-module": python("app.process_message"),
      "python-broken": { runtime: "python", files: { "main.py": "import nothing_like_this" } },
      "python-short": python("main.process_message", { timeoutSeconds: 3 }),
      node: node("index.processMessage"),
      "node-pieces": node("index.pieces"),
      "node-common": node("dist/old.processMessage"),
      "node-missing": node("index.processMesage"),
      "node-wrong": node("index.notAFunction"),
      "node-short": node("index.processMessage", { timeoutSeconds: 3 }),
      "node-default": { runtime: "node", files: { "index.mjs": "export default async (text) => 'default ' + text" } },
    });
  });
  afterAll(() => computer.close());

  test.each(["python", "node"])("%s: gets message and context, replies with text, JSON or nothing", async (agent) => {
    expect((await computer.send(agent, "you")).end).toMatchObject({ status: "done", content: "hello you" });
    const history = [{ role: "user", content: "before" }];
    const context = JSON.parse((await computer.send(agent, "context", { history })).end.content);
    expect(context).toMatchObject({ agent, history, space: "default", metadata: {} });
    expect((await computer.send(agent, "nothing")).end).toMatchObject({ status: "done", content: "" });
  });

  test.each(["python", "node"])("%s: gets the whole history, however little of it a message brings", async (agent) => {
    const entry = (seq: number) => ({ role: seq % 2 === 0 ? "agent" : "user", content: `text ${seq}`, seq });
    const seen = async (options: MessageOptions) => {
      const { history } = JSON.parse((await computer.send(agent, "change history", options)).end.content);
      return history.map(({ role, content, ...more }: { role: string; content: string }) => {
        expect([role === "user", more]).toEqual([/[13579]$/.test(content), {}]);
        return Number(content.slice(5));
      });
    };
    expect(await seen({ history: [] })).toEqual([]);
    expect(await seen({ history: [entry(1), entry(2)] })).toEqual([1, 2]);
    expect(await seen({ history: [entry(3), entry(4)], after: 2 })).toEqual([1, 2, 3, 4]);
    expect(await seen({ after: 4 })).toEqual([1, 2, 3, 4]);
    // Another agent's worker had none of it until now.
    const other = await computer.send("python-async", "context", { history: [entry(5)], after: 4 });
    expect(other.end.status).toBe("done");
    expect(await seen({ history: [entry(7)], after: 5 })).toEqual([1, 2, 3, 4, 5, 7]);
    await expect(seen({ history: [entry(9)], after: 8 })).rejects.toThrow("409");
    expect((await computer.send(agent, "exit", { history: [entry(8)], after: 7 })).end.status).toBe("failed");
    expect(await seen({ history: [entry(9)], after: 8 })).toEqual([1, 2, 3, 4, 5, 7, 8, 9]);
    const many = Array.from({ length: 100 }, (_, index) => entry(11 + index));
    expect(await seen({ history: many, after: 9 })).toEqual(many.map(({ seq }) => seq));
    expect(await seen({ history: [entry(200)] })).toEqual([200]);
  });

  test.each(["python", "node"])("%s: prints go to the log, those of children too", async (agent) => {
    const { end } = await computer.send(agent, "children");
    expect(end.content).toBe("printed");
    expect(end.log_file).toMatch(new RegExp(`^logs/${agent}_\\d{8}_\\d{6}_\\d{3}_stdout\\.log$`));
    expect(computer.log(end.log_file)).toContain("said children\nfrom a child\n");
    expect(computer.log(end.error_log_file)).toBe("its error\n");
    if (agent === "python") expect(computer.log(end.log_file)).toContain("from C\n");
  });

  test.each(["python", "node"])("%s: an exception is a failure with a trace in the log", async (agent) => {
    const { end } = await computer.send(agent, "throw");
    const name = agent === "python" ? "ValueError" : "RangeError";
    expect(end).toMatchObject({ status: "failed", error: { code: "handler_failed", message: `${name}: it broke` } });
    expect(computer.log(end.error_log_file)).toMatch(agent === "python" ? /main\.py", line \d+/ : /index\.ts:\d+/);
  });

  test.each(["python", "node"])("%s: an exit is a failure, and the next message is handled", async (agent) => {
    const { end } = await computer.send(agent, "exit");
    expect(end.error).toMatchObject({ code: "agent_exited", message: expect.stringContaining("exit code 3") });
    expect((await computer.send(agent, "again")).end.content).toBe("hello again");
  });

  test.each(["python-short", "node-short"])("%s: one that hangs is ended at its limit", async (agent) => {
    expect((await computer.send(agent, "sleep")).end.error?.code).toBe("agent_timeout");
    expect((await computer.send(agent, "again")).end.content).toBe("hello again");
  });

  test.each(["python", "node"])("%s: 100 MB come back cut, whole in a file, through little memory", async (agent) => {
    const { end } = await computer.send(agent, "big");
    expect(end).toMatchObject({ status: "done", truncated: true });
    expect(end.content === "é".repeat(2 * 1024 * 1024)).toBe(true);
    expect(statSync(computer.session(end.reply_file ?? "")).size).toBe(100_000_000);
    const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${computer.hostPid}/status`, "utf8"))?.[1]);
    expect(peak).toBeLessThan(160 * 1024);
  });

  async function cancelled(agent: string, content: string): Promise<string> {
    const id = `cancel-${agent}-${content}`;
    const sent = computer.send(agent, content, { id });
    const said = (path: string | null) => computer.log(path).includes("said");
    await expect.poll(() => computer.call("GET", "/health")).toBeDefined();
    await expect
      .poll(async () => (await computer.run("cat /session/logs/*_stdout.log")).stdout.includes(content))
      .toBe(true);
    await computer.call("POST", `/messages/${id}/cancel`);
    const { end } = await sent;
    expect(said(end.log_file)).toBe(true);
    return end.status;
  }

  test("python: a cancelled message ends where it waits, and its worker lives", async () => {
    const pid = (await computer.send("python", "pid")).end.content;
    expect(await cancelled("python", "sleep")).toBe("cancelled");
    expect((await computer.send("python", "pid")).end.content).toBe(pid);
  });

  test.each([
    ["python", "stubborn"],
    ["node", "spin"],
  ])("%s: one that does not listen is killed", async (agent, content) => {
    expect(await cancelled(agent, content)).toBe("cancelled");
    expect((await computer.send(agent, "again")).end.content).toBe("hello again");
  });

  test("python: async handlers, own loops, generators, modules in folders", async () => {
    expect((await computer.send("python-async", "x")).end.content).toBe('{"later": "x"}');
    expect((await computer.send("python-async", "exit")).end.error?.code).toBe("agent_exited");
    expect((await computer.send("python-async", "y")).end.content).toBe('{"later": "y"}');
    expect((await computer.send("python", "loop")).end.content).toBe("from a loop");
    expect((await computer.send("python", "pieces")).text).toBe("ab1");
    expect((await computer.send("python-deep", "x")).end.content).toBe("hello x");
  });

  test("node: generators, CommonJS, default exports", async () => {
    expect((await computer.send("node-pieces", "x")).text).toBe("ab");
    expect((await computer.send("node-common", "x")).text).toBe("common x");
    expect((await computer.send("node-default", "x")).end.content).toBe("default x");
  });

  test("a handler that is not there says what is", async () => {
    const message = async (agent: string) => (await computer.send(agent, "x")).end.error;
    expect(await message("python-missing")).toEqual({
      code: "handler_not_found",
      message:
        "The handler main.proces_message is not there: main.py has no proces_message. It has: answer, later, process_message. " +
        "Set handler in raworc.json to module.attribute.",
    });
    expect((await message("python-no-module"))?.message).toContain("there is no module app");
    expect((await message("node-missing"))?.message).toContain("It exports: notAFunction, pieces, processMessage.");
    expect((await message("node-wrong"))?.message).toContain("is of type number");
    expect(await message("python-broken")).toEqual({
      code: "agent_start_failed",
      message: "main.process_message could not be loaded: ModuleNotFoundError: No module named 'nothing_like_this'",
    });
  });

  test("errors outside of the handler fail the message that runs", async () => {
    const { end } = await computer.send("node", "stray");
    expect(end.error).toEqual({ code: "handler_failed", message: "Error: out of reach" });
    expect((await computer.send("python", "vanish")).end.error).toEqual({
      code: "agent_died",
      message: "The agent's process vanished while it worked: exit code 4.",
    });
    expect((await computer.send("python", "full")).end.error?.code).toBe("disk_full");
  });

  test("logs are bounded, and late prints go to the newest", async () => {
    const { end } = await computer.send("python", "flood");
    expect(end.content).toBe("flooded");
    expect(computer.log(end.log_file).slice(10 * 1024 * 1024)).toMatch(/^\n\[raworc: cut here.*\]\n$/);
    const late = (await computer.send("python", "late")).end.log_file;
    await expect.poll(() => computer.log(late)).toBe("said late\nlate print\n");
  });
});
