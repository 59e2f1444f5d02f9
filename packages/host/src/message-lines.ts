import type { ServerResponse } from "node:http";
import type { JournalEntry } from "./journal-entry.ts";

/**
 * Answers with the lines of a message from line `from` on, as they come, until its end; the end is always given. A slow
 * reader is waited for: the lines lie on disk meanwhile.
 */
export async function sendLines(entry: JournalEntry, from: number, response: ServerResponse): Promise<void> {
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  let wake: () => void = () => undefined;
  const unfollow = entry.follow(() => wake());
  response.on("close", () => wake());
  response.on("drain", () => wake());
  const woken = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
    });
  try {
    for (let next = from; !response.destroyed; ) {
      if (response.writableNeedDrain) await woken();
      else if (entry.ended && next >= entry.count - 1) {
        response.end(`${entry.line(entry.count - 1)}\n`);
        return;
      } else if (next < entry.count) {
        response.write(`${entry.line(next)}\n`);
        next += 1;
      } else await woken();
    }
  } finally {
    unfollow();
  }
}
