import { readdirSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "../../../test/support/requirements.ts";
import { TestComputer } from "./test-computer.ts";

const PROGRAM = `#!/bin/sh
case "$1" in
  fail) echo partly; echo "why" >&2; exit 7 ;;
  wait) sleep 4711 ;;
  environment) echo "$RAWORC_HANDLER"; echo "$AGENT_CONTEXT" ;;
  file) wc -c < "$AGENT_CONTEXT_FILE" ;;
  -) wc -c ;;
  *) printf 'é %s\\n\\n' "$1"; printf 'end\\n' ;;
esac
`;

describeWith(["sandbox"], "programs as agents", () => {
  let computer: TestComputer;
  beforeAll(async () => {
    const agent = {
      runtime: "rust",
      kind: "binary",
      handler: "demo",
      program: "bin/demo",
      files: { "bin/demo": PROGRAM },
    } as const;
    computer = await TestComputer.start({ program: agent, short: { ...agent, timeoutSeconds: 0.3 } });
  });
  afterAll(() => computer.close());

  test("get the message as argument, and reply by stdout without its last end of line", async () => {
    expect((await computer.send("program", "a 'b'")).end).toMatchObject({ status: "done", content: "é a 'b'\n\nend" });
    const [handler, context] = (await computer.send("program", "environment")).end.content.split("\n");
    expect(handler).toBe("demo");
    expect(JSON.parse(context ?? "")).toMatchObject({ agent: "program" });
  });

  test("get what is long by stdin and by file", async () => {
    expect((await computer.send("program", "x".repeat(200_000))).end.content.trim()).toBe("200000");
    const history = [{ role: "user", content: "x".repeat(200_000) }];
    expect(Number((await computer.send("program", "file", { history })).end.content)).toBeGreaterThan(200_000);
    expect(readdirSync(computer.session("tmp"))).toEqual([]);
  });

  test("fail by exit code and time limit, with their errors in the log", async () => {
    const { end } = await computer.send("program", "fail");
    expect(end).toMatchObject({
      status: "failed",
      content: "",
      error: { code: "handler_failed", message: "The agent's program ended with exit code 7." },
    });
    expect(computer.log(end.error_log_file)).toBe("why\n");
    expect((await computer.send("short", "wait")).end.error?.code).toBe("agent_timeout");
    expect(computer.processes("sleep 4711")).toEqual([]);
  });

  test("end when they are cancelled", async () => {
    const sent = computer.send("program", "wait", { id: "cancelled" });
    await expect.poll(() => computer.processes("sleep 4711")).not.toEqual([]);
    await computer.call("POST", "/messages/cancelled/cancel");
    expect((await sent).end.status).toBe("cancelled");
    expect(computer.processes("sleep 4711")).toEqual([]);
  });
});
