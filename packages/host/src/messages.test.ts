import { existsSync, readFileSync } from "node:fs";
import { HOST_FORGET_MAX, type HostMessageEnd, type HostMessageLine } from "@raworc/contract";
import { afterEach, beforeEach, expect, test } from "vitest";
import { describeWith } from "../../../test/support/requirements.ts";
import { collect, TestComputer } from "./test-computer.ts";

/** Counts each run in a file, so a message that is run twice shows. */
const COUNTER = `
import asyncio, os, subprocess
async def process_message(message, context):
    with open("/session/workspace/runs", "a") as runs:
        runs.write(context["message_id"] + "\\n")
    yield "one "
    if message == "print":
        print("said")
    if message == "wait":
        subprocess.Popen(["setsid", "sleep", "4711"])
        await asyncio.sleep(3600)
    if message == "environment":
        yield os.environ.get("SECRET", "none") + " " + str(os.getpid())
    yield "two"
`;

describeWith(["sandbox", "python"], "messages in a computer", () => {
  let computer: TestComputer;
  beforeEach(async () => {
    computer = await TestComputer.start({ agent: { runtime: "python", files: { "main.py": COUNTER } } });
  });
  afterEach(() => computer.close());

  const runs = (): string[] => readFileSync(computer.session("workspace/runs"), "utf8").trim().split("\n");

  /** Resolves with the answer's lines when the first piece has come. */
  async function started(content: string, id: string): Promise<AsyncGenerator<HostMessageLine>> {
    const lines = computer.lines<HostMessageLine>("POST", "/messages", computer.message("agent", content, { id }));
    await lines.next();
    await lines.next();
    return lines;
  }

  test("streams pieces, ends with the whole, and answers a known id from the journal", async () => {
    const first = await computer.send("agent", "hello", { id: "m1" });
    expect(first.lines.map(({ type }) => type)).toEqual(["start", ...first.lines.slice(2).map(() => "delta"), "end"]);
    expect(first.text).toBe("one two");
    expect(first.end).toMatchObject({ status: "done", content: "one two", truncated: false });

    const again = await computer.send("agent", "hello", { id: "m1" });
    expect(again.lines).toEqual(first.lines);
    const rest = await computer.send("agent", "hello", { id: "m1", from: first.lines.length - 1 });
    expect(rest.lines).toEqual([first.end]);
    expect((await collect(computer.lines("GET", "/messages/m1"))).lines).toEqual(first.lines);
    expect(runs()).toEqual(["m1"]);
  });

  test("each message has its pair of logs, also where nothing is printed", async () => {
    const name = /^logs\/agent_\d{8}_\d{6}_\d{3}_(stdout|stderr)\.log$/;
    const logsOf = ({ error_log_file, log_file }: HostMessageEnd) => [log_file, error_log_file];
    const quiet = logsOf((await computer.send("agent", "hello")).end);
    for (const path of quiet) expect(path).toMatch(name);
    // They are made when the answer is on its way.
    await expect.poll(() => quiet.map((path) => existsSync(computer.session(path ?? "")))).toEqual([true, true]);
    expect(quiet.map((path) => computer.log(path))).toEqual(["", ""]);
    const printed = logsOf((await computer.send("agent", "print")).end);
    expect(printed.map((path) => computer.log(path))).toEqual(["said\n", ""]);
    expect(new Set([...quiet, ...printed]).size).toBe(4);
  });

  test("a second reader gets what was, and goes on live; forgetting waits for the end", async () => {
    const lines = await started("wait", "m1");
    const second = collect(computer.lines<HostMessageLine>("GET", "/messages/m1?from=1"));
    const forget = () => computer.call("POST", "/messages/forget", { ids: ["m1"] });
    await forget();
    expect((await computer.call("POST", "/messages/m1/cancel")).status).toBe(202);
    const first = await collect(lines);
    expect(first.end.status).toBe("cancelled");
    expect((await second).lines.map(({ type }) => type)).toEqual(["delta", "end"]);
    expect((await forget()).status).toBe(204);
    expect((await computer.call("GET", "/messages/m1")).status).toBe(404);
  });

  test("a worker that is killed fails its message, with all that it started; the next one gets a new worker", async () => {
    const lines = await started("wait", "m1");
    await computer.run("kill -9 $(cat /proc/[0-9]*/task/*/children >/dev/null; pgrep -f adapter.py)");
    const { end } = await collect(lines);
    expect(end).toMatchObject({ status: "failed", error: { code: "agent_died" } });
    expect(computer.processes("sleep 4711")).toEqual([]);
    expect((await computer.send("agent", "hello")).end.status).toBe("done");
  });

  test("a host that is killed leaves a failure in the journal and never runs the message again", async () => {
    const lines = await started("wait", "m1");
    computer.signalHost("SIGKILL");
    await expect(collect(lines)).rejects.toThrow();
    await computer.ended();
    await computer.boot();
    await computer.claim();
    const { lines: all, end } = await computer.send("agent", "wait", { id: "m1" });
    expect(end).toMatchObject({ status: "failed", error: { code: "agent_died" } });
    expect(all.filter(({ type }) => type === "end")).toHaveLength(1);
    expect((await computer.send("agent", "wait", { id: "m1" })).lines).toEqual(all);
    // A control plane that had seen more lines than survived still hears the end.
    expect((await computer.send("agent", "wait", { id: "m1", from: 40 })).lines).toEqual([end]);
    expect(runs()).toEqual(["m1"]);
  });

  test("SIGTERM ends agents and host, with an end for what ran", async () => {
    const lines = await started("wait", "m1");
    computer.signalHost("SIGTERM");
    expect((await collect(lines)).end).toMatchObject({ status: "failed", error: { code: "agent_died" } });
    await computer.ended();
    await computer.boot();
    expect((await computer.send("agent", "wait", { id: "m1", from: 0 }).catch(() => undefined))?.end).toBeUndefined();
    await computer.claim();
    expect((await computer.send("agent", "wait", { id: "m1" })).end.error?.code).toBe("agent_died");
    expect(runs()).toEqual(["m1"]);
  });

  test("a new claim changes the environment for the next message, and keeps the worker where nothing changed", async () => {
    const [none, first] = (await computer.send("agent", "environment")).text.replace("one ", "").split(/ |two/);
    expect((await computer.claim()).status).toBe(204);
    const same = (await computer.send("agent", "environment")).text;
    expect(same).toContain(`${none} ${first}two`);
    expect((await computer.claim({ environment: { SECRET: "canary" } })).status).toBe(204);
    expect((await computer.send("agent", "environment")).text).toMatch(/^one canary \d+two$/);
    expect((await computer.claim({ session_id: "another" })).status).toBe(409);
  });

  test("messages are forgotten in bulk, with the next message or alone, but what runs", async () => {
    const lines = await started("wait", "running");
    for (const id of ["m1", "m2", "m3"]) await computer.send("nobody", "hello", { id });
    const known = async () => {
      const ids = ["m1", "m2", "m3", "m4", "running"];
      const found = await Promise.all(
        ids.map(async (id) => {
          const answer = await computer.open("GET", `/messages/${id}`);
          answer.destroy();
          return answer.statusCode === 200;
        }),
      );
      return ids.filter((_, index) => found[index]);
    };
    await computer.send("nobody", "hello", { id: "m4", forget: ["m1", "running", "unknown"] });
    expect(await known()).toEqual(["m2", "m3", "m4", "running"]);
    const body = { ids: ["m2", "m3", "m3"] };
    expect((await computer.call("POST", "/messages/forget", body)).status).toBe(204);
    expect(await known()).toEqual(["m4", "running"]);
    const many = { ids: Array.from({ length: HOST_FORGET_MAX + 1 }, () => "m") };
    expect((await computer.call("POST", "/messages/forget", many)).status).toBe(422);
    await computer.call("POST", "/messages/running/cancel");
    expect((await collect(lines)).end.status).toBe("cancelled");
  });

  test("bad calls are refused with what is wrong", async () => {
    expect(await computer.call("POST", "/messages", { message_id: "m" })).toEqual({
      status: 422,
      body: { error: { code: "validation_failed", message: "agent must be a text" } },
    });
    expect((await computer.call("GET", "/messages/nobody")).status).toBe(404);
    expect((await computer.call("GET", "/nothing")).status).toBe(404);
    const unknown = await computer.send("nobody", "hello");
    expect(unknown.end.error).toEqual({
      code: "agent_start_failed",
      message: "This session has no agent nobody; its build has: agent.",
    });
  });
});
