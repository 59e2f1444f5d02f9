/** Agents that do what their message says, for tests. Both take the same words. */
const PYTHON = `
import json, os, subprocess, sys, time, uuid

INSTANCE = str(uuid.uuid4())

def process_message(message, context):
    word, _, rest = message.partition(" ")
    if word == "echo":
        return rest
    if word == "throw":
        raise ValueError("no such thing: " + rest)
    if word == "exit":
        sys.exit(3)
    if word == "vanish":
        os.kill(os.getpid(), 9)
    if word == "sleep":
        time.sleep(float(rest))
        return "slept"
    if word == "print":
        print("printed " + rest)
        sys.stderr.write("complained " + rest + "\\n")
        subprocess.run(["echo", "child " + rest])
        return "quiet"
    if word == "big":
        return "x" * int(rest)
    if word == "stream":
        return pieces(int(rest))
    if word == "count":
        with open("counter", "a") as counter:
            counter.write(context["message_id"] + "\\n")
        time.sleep(float(rest or 0))
        return str(len(open("counter").readlines()))
    if word == "context":
        return json.dumps(context)
    if word == "env":
        return os.environ.get(rest, "")
    if word == "fill":
        with open("filler", "wb") as filler:
            while True:
                filler.write(b"x" * 1048576)
                filler.flush()
    if word == "instance":
        return INSTANCE
    if word == "nothing":
        return None
    if word == "object":
        return {"answer": 42}
    return "unknown word " + word

def pieces(count):
    for number in range(count):
        yield "piece %d\\n" % number
        time.sleep(0.02)
`;

const NODE = `
import { appendFileSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const instance = crypto.randomUUID();

export async function processMessage(message, context) {
  const [word, ...words] = message.split(" ");
  const rest = words.join(" ");
  switch (word) {
    case "echo": return rest;
    case "throw": throw new TypeError("no such thing: " + rest);
    case "exit": process.exit(3);
    case "vanish": process.kill(process.pid, "SIGKILL"); await sleep(1000); return "";
    case "sleep": await sleep(Number(rest) * 1000); return "slept";
    case "print": console.log("printed " + rest); console.error("complained " + rest); return "quiet";
    case "big": return "x".repeat(Number(rest));
    case "stream": return pieces(Number(rest));
    case "count":
      appendFileSync("counter", context.message_id + "\\n");
      await sleep(Number(rest || 0) * 1000);
      return String(readFileSync("counter", "utf8").trimEnd().split("\\n").length);
    case "context": return JSON.stringify(context);
    case "env": return process.env[rest] ?? "";
    case "instance": return instance;
    case "nothing": return undefined;
    case "object": return { answer: 42 };
    default: return "unknown word " + word;
  }
}

async function* pieces(count) {
  for (let number = 0; number < count; number += 1) {
    yield "piece " + number + "\\n";
    await sleep(20);
  }
}
`;

export const PROBE_AGENTS: Readonly<Record<string, string>> = {
  "python/raworc.json": JSON.stringify({ runtime: "python3", timeout_s: 10, env: { FLAVOUR: "vanilla" } }),
  "python/main.py": PYTHON,
  "node/raworc.json": JSON.stringify({ runtime: "node", timeout_s: 10, env: { FLAVOUR: "vanilla" } }),
  "node/package.json": JSON.stringify({ name: "probe", version: "1.0.0", type: "module", private: true }),
  "node/index.js": NODE,
};
