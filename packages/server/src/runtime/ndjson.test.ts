import { expect, test } from "vitest";
import { LineError, readJsonLines } from "./ndjson.ts";

async function read(pieces: readonly (string | Buffer)[], max = 100): Promise<unknown[]> {
  async function* source() {
    for (const piece of pieces) yield Buffer.from(piece as string);
  }
  return Array.fromAsync(readJsonLines(source(), max));
}

test("lines are put together from pieces, also where a character is cut", async () => {
  const bytes = Buffer.from('{"text":"é"}\n{"n":2}\n');
  const cut = bytes.indexOf(0xc3) + 1;
  expect(await read([bytes.subarray(0, cut), bytes.subarray(cut)])).toEqual([{ text: "é" }, { n: 2 }]);
});

test("a line that is too long ends the reading before it is collected", async () => {
  await expect(read(["1".repeat(60), "1".repeat(60)])).rejects.toThrow(LineError);
  await expect(read([`"${"1".repeat(120)}"\n`])).rejects.toThrow(LineError);
});

test("what is no JSON, and what breaks off, is refused", async () => {
  await expect(read(["nonsense\n"])).rejects.toThrow(LineError);
  await expect(read(['{"a":1}\n{"a"'])).rejects.toThrow(LineError);
});
