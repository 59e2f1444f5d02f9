import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeWith } from "../../../test/support/requirements.ts";
import { bundleHost } from "../bundle.ts";
import { readConfig } from "./config.ts";
import { TestComputer } from "./test-computer.ts";

test("the bundle is one file without libraries, and the same content has the same hash", async () => {
  const folders = [0, 1].map(() => mkdtempSync(join(tmpdir(), "raworc-bundle-")));
  try {
    const [first, second] = await Promise.all(folders.map((folder) => bundleHost(folder)));
    expect(first).toEqual(second);
    const text = readFileSync(join(folders[0] ?? "", "host.mjs"), "utf8");
    expect(/zod/i.test(text), "the bundle holds Zod").toBe(false);
    expect(text.length).toBeLessThan(100_000);
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true });
  }
});

test("what the driver sets is checked", () => {
  const environment = '{"RUSTUP_HOME":"/opt/rustup"}';
  const variables = {
    RAWORC_HOST_SPAWN_PREFIX: '["bwrap","--bind"]',
    RAWORC_HOST_ENVIRONMENT: environment,
    PATH: "/bin",
  };
  expect(readConfig(variables)).toEqual({
    agentUid: 1000,
    spawnPrefix: ["bwrap", "--bind"],
    path: "/bin",
    environment: { RUSTUP_HOME: "/opt/rustup" },
  });
  expect(() => readConfig({ RAWORC_HOST_ENVIRONMENT: '["A=1"]' })).toThrow("RAWORC_HOST_ENVIRONMENT");
  expect(() => readConfig({ RAWORC_HOST_AGENT_UID: "root" })).toThrow("RAWORC_HOST_AGENT_UID");
  expect(() => readConfig({ RAWORC_HOST_SPAWN_PREFIX: '"bwrap"' })).toThrow("RAWORC_HOST_SPAWN_PREFIX");
});

const WRITER = `
def process_message(message, context):
    if message == "fill":
        with open("/session/workspace/filler", "wb") as filler:
            filler.write(b"x" * 64_000_000)
    if message == "say":
        print("x" * 200_000)
    if message == "print":
        print("x" * 8_000_000)
    return "r" * int(message) if message.isdigit() else "fine"
`;

describeWith(["sandbox", "python"], "a computer whose disk is full", () => {
  test("fails the message with disk_full, lives on, and works when there is space again", async () => {
    const computer = await TestComputer.start(
      { agent: { runtime: "python", files: { "main.py": WRITER } } },
      { sessionBytes: 6_000_000 },
    );
    try {
      const code = async (content: string) => (await computer.send("agent", content)).end.error?.code;
      expect(await code("print")).toBe("disk_full");
      // Logs fill a tenth of it at most; nobody but the host could remove them.
      for (let index = 0; index < 8; index += 1) expect(await code("say")).toBe(undefined);
      expect(Number((await computer.run("du -sk /session/logs | cut -f1")).stdout)).toBeLessThan(1000);
      expect(await code("20000000")).toBe("disk_full");
      expect(await code("fill")).toBe("disk_full");
      // At last not even the note that a message started can be written: then the agent never sees it.
      const codes: (string | undefined)[] = [];
      for (let index = 0; index < 400 && codes.at(-1) !== "disk_full"; index += 1) codes.push(await code("999"));
      expect(codes.at(-1)).toBe("disk_full");
      expect((await computer.call("GET", "/health")).status).toBe(200);
      expect((await computer.run("rm /session/workspace/filler; echo freed")).stdout).toBe("freed\n");
      expect(await code("fine")).toBe(undefined);
    } finally {
      await computer.close();
    }
  });
});

describeWith(["sandbox"], "a computer with a proxy as its way out", () => {
  test("relays connections byte for byte, both ways, and says so to all it starts", async () => {
    const computer = TestComputer.prepare();
    const proxy = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("data", (chunk: Buffer) => socket.write(chunk.toString().toUpperCase()));
      socket.on("end", () => socket.end("bye"));
    });
    await new Promise<void>((resolve) => proxy.listen(computer.egressSocket, resolve));
    try {
      await computer.boot();
      await computer.claim({ environment: { HTTPS_PROXY: "http://elsewhere:1" } });
      const script = `
        const socket = require("node:net").connect({ port: 3128, host: "127.0.0.1", allowHalfOpen: true });
        socket.end("hello");
        socket.pipe(process.stdout);`;
      expect((await computer.run(["/opt/node/bin/node", "-e", script])).stdout).toBe("HELLObye");
      const environment = (await computer.run("env")).stdout.split("\n").filter((line) => /proxy/i.test(line));
      expect(environment.sort()).toEqual([
        "ALL_PROXY=http://127.0.0.1:3128",
        "HTTPS_PROXY=http://127.0.0.1:3128",
        "HTTP_PROXY=http://127.0.0.1:3128",
        "NODE_USE_ENV_PROXY=1",
        "NO_PROXY=localhost,127.0.0.1,::1",
        "all_proxy=http://127.0.0.1:3128",
        "http_proxy=http://127.0.0.1:3128",
        "https_proxy=http://127.0.0.1:3128",
        "no_proxy=localhost,127.0.0.1,::1",
      ]);
    } finally {
      proxy.close();
      await computer.close();
    }
  });
});

describeWith(["sandbox"], "a computer with one uid", () => {
  test("starts all behind the driver's words", async () => {
    const computer = await TestComputer.start(
      {},
      { environment: { RAWORC_HOST_SPAWN_PREFIX: '["env","PREFIXED=yes"]' } },
    );
    try {
      expect((await computer.run('echo "$PREFIXED $(id -u)"')).stdout).toBe("yes 0\n");
    } finally {
      await computer.close();
    }
  });

  test("is asked to end, and ends with all it started", async () => {
    const computer = await TestComputer.start();
    const lines = computer.exec("trap '' TERM; echo begun; while :; do sleep 4711; done");
    await lines.next();
    const watch = await computer.open("GET", "/watch");
    const over = new Promise<void>((resolve) => watch.once("close", resolve));
    watch.on("error", () => undefined).resume();
    expect((await computer.call("POST", "/shutdown")).status).toBe(202);
    await over;
    await computer.ended();
    await lines.return(undefined);
    await computer.close();
  });
});
