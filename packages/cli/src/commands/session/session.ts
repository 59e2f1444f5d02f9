import { ApiError, type Client, isAbort } from "@raworc/client";
import { type Command, createCommand, withExamples } from "../../command.ts";
import type { Context } from "../../context.ts";
import { CommandFailure, SilentFailure, UsageFailure } from "../../failure.ts";
import { Spinner } from "../../spinner.ts";
import { Conversation } from "./conversation.ts";
import { talkWithPerson } from "./interactive.ts";
import { talkByLines } from "./piped.ts";

export interface SessionOptions {
  readonly space?: string;
  readonly agent?: string;
  readonly resume?: string;
  readonly name?: string;
  readonly keep?: boolean;
}

export function sessionCommand(context: Context): Command {
  const command = createCommand(context, "session")
    .summary("talk to agents in a session of their own")
    .description(
      "Opens a session and talks to its agents. At the end the session is deleted with its files, unless --keep is given. " +
        "Where stdin is no terminal, each line is a message; replies go to stdout, and the exit code is 1 when one failed.",
    )
    .option("-s, --space <space>", "space to open it in (default: default)")
    .option("-a, --agent <name>", "agent that answers, where a message names none")
    .option("-r, --resume <id>", "take up a session that is there already")
    .option("-n, --name <name>", "name for the new session")
    .option("-k, --keep", "keep the session at the end")
    .action((options: SessionOptions) => runSession(context, options));
  return withExamples(context, command, [
    "raworc session",
    "raworc session --agent poet --keep",
    "raworc session --resume $ID",
    "echo 'What is 2 + 2?' | raworc session",
  ]);
}

export async function runSession(context: Context, options: SessionOptions): Promise<void> {
  if (options.resume !== undefined && (options.space !== undefined || options.name !== undefined)) {
    throw new UsageFailure("A session that is resumed has its space and name already; leave out --space and --name.");
  }
  const { streams } = context;
  const client = await context.client();
  const interactive = streams.stdinIsTerminal && streams.out.isTerminal;
  const ending = new AbortController();
  const end = (): void => ending.abort();
  const signals = ["SIGTERM", "SIGHUP", "SIGINT"] as const;
  for (const signal of signals) process.on(signal, end);
  try {
    const conversation = await open(context, client, options, ending.signal);
    let keep = options.keep === true;
    let failed = 0;
    try {
      if (interactive) keep = await talkWithPerson(context, client, conversation, { keep, signal: ending.signal });
      else failed = await untilAborted(talkByLines(context, conversation, ending.signal), ending.signal);
    } finally {
      await finish(context, conversation, keep);
    }
    if (failed > 0) throw new SilentFailure();
  } finally {
    for (const signal of signals) process.off(signal, end);
  }
}

async function open(
  context: Context,
  client: Client,
  options: SessionOptions,
  signal: AbortSignal,
): Promise<Conversation> {
  const spinner = new Spinner(context.streams.err, context.config);
  spinner.start(options.resume === undefined ? "Opening a session..." : "Taking up the session...");
  try {
    return await Conversation.open(client, { ...options, signal });
  } catch (error) {
    if (isAbort(error)) throw new CommandFailure("Interrupted.");
    if (error instanceof ApiError && error.status === 404) {
      const what =
        options.resume === undefined ? `the space ${options.space ?? "default"}` : `the session ${options.resume}`;
      throw new CommandFailure(`There is no such thing as ${what}, or it is not visible to you.`);
    }
    throw error;
  } finally {
    spinner.stop();
  }
}

/** An end from outside must not wait for an answer that may take minutes. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(new CommandFailure("Interrupted."));
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject);
  });
}

async function finish(context: Context, conversation: Conversation, keep: boolean): Promise<void> {
  const { err } = context.streams;
  await conversation.close();
  if (keep) {
    err.line(err.paint("dim", `The session is kept. Take it up again: raworc session --resume ${conversation.id}`));
    return;
  }
  await conversation.delete();
  if (err.isTerminal) err.line(err.paint("dim", "The session is deleted."));
}
