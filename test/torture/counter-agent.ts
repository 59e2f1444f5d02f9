/**
 * Notes each message that it handles in a file, and answers in pieces: `work <milliseconds> <pieces>`. What it notes is the
 * side effect that must not happen twice.
 */
const AGENT = `
import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export async function* processMessage(message, context) {
  appendFileSync("/session/workspace/effects", context.message_id + "\\n");
  const [, milliseconds, count] = message.split(" ");
  for (let number = 0; number < Number(count); number += 1) {
    await sleep(Number(milliseconds) / Number(count));
    yield context.message_id + " " + number + "\\n";
  }
}
`;

export const EFFECTS = "/session/workspace/effects";

export const COUNTER_AGENT: Readonly<Record<string, string>> = {
  "raworc.json": JSON.stringify({ runtime: "node", timeout_s: 60 }),
  "package.json": JSON.stringify({ name: "counter", version: "1.0.0", type: "module", private: true }),
  "index.js": AGENT,
};

/** What the agent answers to a message, whole. */
export function answerOf(messageId: string, content: string): string {
  const count = Number(content.split(" ")[2]);
  return Array.from({ length: count }, (_, number) => `${messageId} ${number}\n`).join("");
}
