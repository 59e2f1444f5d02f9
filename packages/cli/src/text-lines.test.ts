import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { textLines } from "./text-lines.ts";

test.each([1, 3, 1000])("lines end with LF alone, in chunks of %i bytes", async (size) => {
  const bytes = Buffer.from("one\r\ngrüße\u2028 same\n\nlast");
  const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
  expect(await Array.fromAsync(textLines(Readable.from(chunks)))).toEqual(["one", "grüße\u2028 same", "", "last"]);
});
