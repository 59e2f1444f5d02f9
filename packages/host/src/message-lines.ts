import { logLine } from "./host-log.ts";
import type { HttpResponse } from "./http-response.ts";
import type { JournalEntry } from "./journal-entry.ts";

/**
 * Answers with the lines of a message from line `from` on, as they come, until its end; the end is always given. A slow
 * reader is waited for: the lines lie on disk meanwhile.
 */
export function sendLines(entry: JournalEntry, from: number, response: HttpResponse): void {
  let next = from;
  const pass = (): void => {
    while (!response.destroyed && !response.writableEnded && !response.writableNeedDrain) {
      if (entry.ended && next >= entry.count - 1) response.end(`${entry.line(entry.count - 1)}\n`);
      else if (next < entry.count) {
        response.write(`${entry.line(next)}\n`);
        next += 1;
      } else return;
    }
  };
  const send = (): void => {
    try {
      pass();
    } catch (error) {
      // Whoever asks again gets what can't be read now.
      logLine("error", "lines could not be read", { message: entry.id, error: String(error) });
      response.destroy();
    }
  };
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  const unfollow = entry.follow(send);
  response.on("close", unfollow);
  response.on("drain", send);
  send();
}
