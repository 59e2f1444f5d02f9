import { ApiError } from "@raworc/client";
import type { Context } from "../../context.ts";
import { CommandFailure } from "../../failure.ts";
import { reportError, writeReport } from "../../report.ts";
import { textLines } from "../../text-lines.ts";
import type { Conversation } from "./conversation.ts";
import { TurnPrinter } from "./turn-printer.ts";

const QUIT = new Set(["/quit", "/q", "/exit"]);

/**
 * Sends each line of stdin as a message, one after the other. Replies go to stdout, everything else to stderr. Gives the
 * number of messages that were not answered.
 */
export async function talkByLines(context: Context, conversation: Conversation, signal: AbortSignal): Promise<number> {
  const { out, err, stdin } = context.streams;
  let failed = 0;
  for await (const line of textLines(stdin)) {
    if (signal.aborted || QUIT.has(line.trim())) break;
    if (line.trim() === "") continue;
    const printer = new TurnPrinter(out, { labelled: false });
    try {
      for await (const turn of conversation.send(line)) {
        await out.drained();
        if (turn.type === "text") printer.text(turn.text);
        else if (turn.type === "end") {
          printer.end(turn);
          if (turn.status !== "done") {
            failed += 1;
            const hints = turn.error?.log
              ? [`/session/${turn.error.log} of the session ${conversation.id} has the details`]
              : [];
            writeReport({ message: turn.error?.message ?? `The message was ${turn.status}`, hints }, err);
          }
        }
      }
    } catch (error) {
      printer.abandon();
      // A refused message is no reason to leave out the next one; a lost session is.
      const goesOn = error instanceof ApiError && error.status !== 401 && error.status !== 404;
      if (!goesOn) throw error;
      failed += 1;
      reportError(error, err);
    }
  }
  if (signal.aborted) throw new CommandFailure("Interrupted.");
  return failed;
}
