import { randomUUID } from "node:crypto";
import { ReadStream } from "node:tty";
import type { Client } from "@raworc/client";
import type { Context } from "../../context.ts";
import { CommandFailure, SilentFailure, UsageFailure } from "../../failure.ts";

const QUOTED = /[^A-Za-z0-9_./:=@%+,-]/;

/** Looks on a terminal of a session with this one, until its shell ends; or runs words in one that is made for them. */
export async function runTerminal(context: Context, client: Client, id: string, words: readonly string[]) {
  const { out, stdin } = context.streams;
  if (!(stdin instanceof ReadStream) || !out.isTerminal) {
    throw new UsageFailure("A terminal needs one on this side: stdin or stdout is none.", ["leave -t out"]);
  }
  const { stream } = out;
  const size = (): { cols: number; rows: number } => ({
    cols: out.columns,
    rows: "rows" in stream && typeof stream.rows === "number" && stream.rows > 0 ? stream.rows : 24,
  });
  const name = words.length === 0 ? undefined : `exec-${randomUUID()}`;
  const terminal = await client.terminal(id, {
    ...size(),
    ...(name === undefined ? {} : { id: name }),
    // A terminal obeys what runs in it; that is what it is for.
    onOutput: (bytes) => stream.write(bytes),
  });
  const onInput = (bytes: Buffer): void => terminal.write(bytes);
  const onResize = (): void => terminal.resize(size().cols, size().rows);
  stdin.setRawMode(true);
  try {
    stdin.on("data", onInput).resume();
    stream.on("resize", onResize);
    if (words.length > 0) terminal.write(`exec ${words.map(quote).join(" ")}\n`);
    const { exitCode, reason } = await terminal.ended;
    if (exitCode === undefined) throw new CommandFailure(reason, [`look on again: raworc exec -it ${id}`]);
    if (exitCode !== 0) throw new SilentFailure(exitCode);
  } finally {
    stdin.setRawMode(false);
    stdin.off("data", onInput).pause();
    stream.off("resize", onResize);
  }
}

function quote(word: string): string {
  return word === "" || QUOTED.test(word) ? `'${word.replaceAll("'", "'\\''")}'` : word;
}
