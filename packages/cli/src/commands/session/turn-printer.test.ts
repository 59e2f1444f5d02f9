import type { Message } from "@raworc/contract";
import { describe, expect, test } from "vitest";
import { testContext } from "../../test-context.ts";
import type { TurnEnd } from "./conversation.ts";
import { TurnPrinter } from "./turn-printer.ts";

const reply = (content: string, role: Message["role"] = "agent"): Message => ({
  id: "01938f6e-0000-7000-8000-000000000001",
  session_id: "01938f6e-0000-7000-8000-000000000002",
  seq: 2,
  role,
  agent: role === "agent" ? "poet" : null,
  in_reply_to: null,
  content,
  metadata: role === "agent" ? { agent: "poet", duration_ms: 1234 } : {},
  status: "done",
  error: null,
  created_at: "2026-11-24T00:00:00.000Z",
});
const done = (content: string, role?: Message["role"]): TurnEnd => ({
  type: "end",
  status: "done",
  reply: reply(content, role),
  error: undefined,
});

function print(pieces: readonly string[], end: TurnEnd, labelled: boolean, terminal = labelled): string {
  using run = testContext({ terminal });
  const printer = new TurnPrinter(run.context.streams.out, { labelled });
  for (const piece of pieces) printer.text(piece);
  printer.end(end);
  return run.out();
}

describe("an answer for a person", () => {
  test("says who speaks, and who it was and how long it took", () => {
    expect(print(["Hel", "lo"], done("Hello"), true)).toBe("Agent: Hello\n  poet · 1.2 s\n");
  });

  test("shows what was not streamed, once", () => {
    expect(print([], done("Whole"), true)).toContain("Agent: Whole\n");
    expect(print(["Wh"], done("Whole"), true)).toContain("Agent: Whole\n");
    expect(print(["thinking"], done('{"a":1}'), true)).toContain('Agent: thinking\n{"a":1}\n');
  });

  test("is never obeyed by the terminal, also when a sequence is cut into pieces", () => {
    expect(print(["a\x1b", "[2", "Jb\r", "\x1b]0;t", "\x07"], done("a\x1b[2Jb\r\x1b]0;t\x07"), true)).toContain(
      "Agent: ab\n",
    );
  });

  test("tells the system's words from an agent's", () => {
    expect(print([], done("Say who shall answer.", "system"), true)).toBe("System: Say who shall answer.\n");
  });

  test("tells of failures and cancellation after what was said before", () => {
    const error = { code: "handler_failed", message: "ValueError: \x1b[31mno", log: "logs/x_stderr.log" };
    const failed: TurnEnd = { type: "end", status: "failed", reply: reply("ValueError", "system"), error };
    const text = print(["partly"], failed, true);
    expect(text).toContain("Agent: partly\nFailed: ValueError: no\n");
    expect(text).toContain("/session/logs/x_stderr.log");
    const cancelled: TurnEnd = { type: "end", status: "cancelled", reply: null, error: undefined };
    expect(print(["partly"], cancelled, true)).toBe("Agent: partly\nCancelled\n");
  });
});

describe("an answer for a program", () => {
  test("is the reply and a line break, byte for byte", () => {
    expect(print(["a\x1b[1m", "b"], done("a\x1b[1mb"), false)).toBe("a\x1b[1mb\n");
    expect(print([], done("two\nlines\n"), false)).toBe("two\nlines\n");
    expect(print([], done(""), false)).toBe("\n");
  });

  test("is nothing but what was streamed when it failed", () => {
    const error = { code: "handler_failed", message: "boom", log: null };
    expect(print(["x"], { type: "end", status: "failed", reply: reply("boom", "system"), error }, false)).toBe("x\n");
    expect(print([], { type: "end", status: "failed", reply: reply("boom", "system"), error }, false)).toBe("");
  });
});
