import { describe, expect, test } from "vitest";
import { type ServerSentEvent, ServerSentEventParser } from "./server-sent-events.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function parse(text: string, chunkBytes: number): ServerSentEvent[] {
  const parser = new ServerSentEventParser();
  const all = bytes(text);
  const events: ServerSentEvent[] = [];
  for (let at = 0; at < all.length; at += chunkBytes) events.push(...parser.push(all.subarray(at, at + chunkBytes)));
  return events;
}

describe("server-sent events", () => {
  const stream = [
    "\uFEFF: a comment\r\n\r\n",
    "id: 1\r\nevent: message.delta\r\ndata: grüße 🌍\r\n\r\n",
    "id:2\revent: two\rdata: one\rdata:  two\r\r",
    ":\n\ndata\n\nretry: 10\ndata: last\n\n",
    "data: never ended\n",
  ].join("");
  const expected = [
    { id: "1", type: "message.delta", data: "grüße 🌍" },
    { id: "2", type: "two", data: "one\n two" },
    { id: "2", type: "message", data: "" },
    { id: "2", type: "message", data: "last" },
  ];

  test.each([1, 2, 3, 7, 10_000])("gives the same events in chunks of %i bytes", (chunkBytes) => {
    expect(parse(stream, chunkBytes)).toEqual(expected);
  });

  test("takes an id that comes alone as the place to resume after", () => {
    const parser = new ServerSentEventParser();
    expect(parser.push(bytes("id: 41\n\n"))).toEqual([]);
    expect(parser.lastEventId).toBe("41");
  });

  test("does not resume after an event that was not received as a whole", () => {
    const parser = new ServerSentEventParser();
    parser.push(bytes("id: 1\ndata: x\n\nid: 2\ndata: y\n"));
    expect(parser.lastEventId).toBe("1");
  });

  test("refuses an event without end", () => {
    const parser = new ServerSentEventParser();
    const megabyte = new Uint8Array(1024 * 1024).fill(97);
    expect(() => {
      for (let count = 0; count < 100; count += 1) parser.push(megabyte);
    }).toThrow("too large");
  });
});
