import { describe, expect, test } from "vitest";
import { cleanLine, cleanText, cutText, TerminalText, textWidth } from "./terminal-text.ts";

describe("text of strangers", () => {
  test.each([
    ["colours", "\x1b[1;31mred\x1b[0m plain", "red plain"],
    ["cursor moves and clearing", "a\x1b[2J\x1b[H\x1b[10Ab", "ab"],
    ["titles, by either end", "\x1b]0;title\x07a\x1b]2;other\x1b\\b", "ab"],
    ["clipboard writes", "\x1b]52;c;cm0gLXJmIC8=\x07done", "done"],
    ["device strings", "\x1bP1$r0m\x1b\\x\x1b_secret\x1b\\y", "xy"],
    ["the one-byte forms of them", "a\x9b31mb\x9d0;title\x9cc", "abc"],
    ["keypad and charset switches", "\x1b(0\x1b=\x1bclqk", "lqk"],
    ["bells, backspaces, nulls and deletes", "a\x07\x08\0\x7fb", "ab"],
    ["painting over a line", "harmless\rrm -rf /\r\n", "harmless\nrm -rf /\n"],
    ["marks that turn the direction", "user\u202e\u2066 txt.exe", "user txt.exe"],
    ["nothing else", "grüße\t🌍\n{[日本]}", "grüße\t🌍\n{[日本]}"],
  ])("loses %s", (_, text, clean) => {
    expect(cleanText(text)).toBe(clean);
    const cleaner = new TerminalText();
    const pieces = [...Array(text.length).keys()].map((index) => cleaner.push(text.charAt(index)));
    expect(pieces.join("") + cleaner.end(), "in single characters").toBe(clean);
  });

  test("is not swallowed by a sequence that never ends", () => {
    expect(cleanText(`\x1b]0;${"x".repeat(10_000)}visible`)).toContain("visible");
    expect(cleanText("\x1b]0;open\nnext line")).toBe("\nnext line");
  });

  test("has no half characters", () => {
    const cleaner = new TerminalText();
    expect(cleaner.push("a\ud83c")).toBe("a");
    expect(cleaner.push("\udf0d")).toBe("🌍");
    expect(cleaner.push("\ud83c") + cleaner.end()).toBe("\uFFFD");
  });

  test("is one line in a cell", () => expect(cleanLine(" a\r\n\tb\x1b[0m ")).toBe("a b"));
});

test("width counts cells, and cutting keeps to them", () => {
  expect(["abc", "日本", "é", "👩‍💻", "🇩🇪"].map(textWidth)).toEqual([3, 4, 1, 2, 2]);
  expect(cutText("日本語テキスト", 6)).toBe("日本…");
  expect(cutText("short", 5)).toBe("short");
});
