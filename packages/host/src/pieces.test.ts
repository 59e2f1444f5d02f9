import { REPLY_MAX_BYTES } from "@raworc/contract";
import { expect, test } from "vitest";
import { REPLY_KEPT_BYTES } from "./limits.ts";
import { splitLines } from "./line-frames.ts";
import { OutputEncoder } from "./output-encoder.ts";

test("a reply is cut where the contract says", () => {
  expect(REPLY_KEPT_BYTES).toBe(REPLY_MAX_BYTES);
});

test("lines end at LF alone, wherever the pieces are cut, and are bounded", () => {
  const split = splitLines(8);
  const lines = ["ab", "c\r\n\u2028d", "\n", "\ne"].flatMap((piece) => split(Buffer.from(piece)).map(String));
  expect(lines).toEqual(["abc\r", "\u2028d", ""]);
  expect(() => split(Buffer.from("x".repeat(9)))).toThrow("longer than 8 bytes");
});

test("output is text where it is text, whole characters at a time, and base64 where it is not", () => {
  const encoder = new OutputEncoder();
  const bytes = Buffer.from("aé😀");
  const texts = [...bytes].flatMap((byte) => encoder.encode(Buffer.from([byte])));
  expect(texts.map(({ data }) => data)).toEqual(["a", "é", "😀"]);
  expect(encoder.encode(Buffer.from([0xff, 0x41]))).toEqual([{ data: "/0E=", encoding: "base64" }]);
  expect(encoder.encode(bytes.subarray(0, 2))).toEqual([{ data: "a", encoding: "utf-8" }]);
  expect(encoder.flush()).toEqual([{ data: "ww==", encoding: "base64" }]);
});
